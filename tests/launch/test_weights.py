"""Where weights to start from may come from: a trained model, MLflow, the authors' files; and what goes wrong there."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from factories.shades import MODEL, SECTION, task_of
from wavemix.config import Experiment, Params
from wavemix.errors import ConfigError, DataError, WaveMixError
from wavemix.launch.identity import PACKAGE, run_key
from wavemix.launch.plan import plan
from wavemix.launch.weights import find_source, write_start
from wavemix.tracking.mlflow import Tracked
from wavemix.tracking.models import ModelFiles, add_model
from wavemix.training.trained import save_trained

CLASSES = ("dark", "bright")
REPOSITORY = Path(__file__).parents[2]


def drawn(seed: int = 5, **changes: Any) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return dict(task_of(**changes).build_model().state_dict())


def theirs(name: str) -> str:
    """What the authors' package calls a weight of the classifier, saved from several GPUs."""
    layers = {"widen": "0", "project": "3", "upsample": "4", "norm": "5"}
    name = re.sub(r"feedforwards\.0\.(\w+)", lambda match: f"feedforward.{layers[match[1]]}", name)
    for ours, other in (("blocks", "layers"), ("reduce", "reduction"), ("stem.convs", "conv"), ("head", "pool.2")):
        name = name.replace(ours, other)
    return f"module.{name}"


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A folder as `train` writes it."""
    save_file(drawn(), tmp_path / "weights.safetensors")
    info = {"task": SECTION, "classes": list(CLASSES), "data": {}}
    save_trained(tmp_path / "trained", tmp_path / "weights.safetensors", info)
    return tmp_path / "trained"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    torch.save({theirs(name): tensor for name, tensor in drawn().items()}, tmp_path / "net.pth")
    return tmp_path / "net.pth"


def start_of(params: Params, target: Path) -> dict[str, Tensor]:
    """What the driver hands to the processes."""
    experiment = params.experiments["shades"]
    source = find_source(params, experiment)
    assert source is not None
    write_start(source, experiment, CLASSES, target)
    return load_file(target)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_trained_folder(params_of: Any, trained: Path, tmp_path: Path) -> None:
    params = params_of(weights={"kind": "trained", "folder": str(trained)})
    assert_same(start_of(params, tmp_path / "start.safetensors"), drawn())


def test_one_of_the_authors_files(
    params_of: Any, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = params_of(weights={"kind": "published", "file": str(published)})
    assert_same(start_of(params, tmp_path / "start.safetensors"), drawn())
    told = capsys.readouterr().err.splitlines()
    assert re.fullmatch(rf"weights: {published} has the sha256 [0-9a-f]{{64}}, which nobody vouches for", told[0])
    assert told[1:] == [f"weights: starts from {published}; fresh: nothing"]


def test_a_file_that_the_authors_own_code_wrote(params_of: Any, tmp_path: Path) -> None:
    data = Path(os.environ.get("WAVEMIX_REFERENCE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (reference := data / "parity" / "cls_lite_strided_s1.pt").is_file():
        pytest.skip("no reference tensors: WAVEMIX_REFERENCE_DATA has no parity/cls_lite_strided_s1.pt")
    given = torch.load(reference, weights_only=True)["state_dict"]
    torch.save(given, tmp_path / "theirs.pth")
    colour = {"model": {"dim": 24, "depth": 2, "stride": 1}, "mean": [0.5] * 3, "std": [0.5] * 3}
    params = params_of(weights={"kind": "published", "file": str(tmp_path / "theirs.pth")}, **colour)
    found = start_of(params, tmp_path / "start.safetensors")
    assert len(found) == len(given)
    assert torch.equal(found["blocks.1.reduce.weight"], given["layers.1.reduction.weight"])


def test_a_head_for_other_classes_starts_fresh_and_is_named(
    params_of: Any, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = params_of(weights={"kind": "published", "file": str(published)}, model={**MODEL, "head_dim": 16})
    start_of(params, tmp_path / "start.safetensors")
    assert "fresh: final.bias, final.weight, head.bias, head.weight\n" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")  # MLflow and what it imports warn of their own affairs
def test_a_model_in_mlflow_by_run_and_by_alias(
    params_of: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)  # MLflow puts artifacts beside the folder that it runs in
    uri = "sqlite:///mlflow.db"
    tracked = Tracked("shades", "0123abcd", "shades-0123ab", {}, {})
    add_model(uri, tracked, ModelFiles(PACKAGE / "pyfunc.py", PACKAGE, trained, 3, (np.float32, (-1, 2))))
    client = MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("shades").experiment_id])
    (model,) = client.search_logged_models([run.info.experiment_id])
    client.create_registered_model("shades")
    version = client.create_model_version("shades", f"models:/{model.model_id}", run.info.run_id).version
    client.set_registered_model_alias("shades", "champion", version)

    keys = set()
    for number, where in enumerate((f"runs:/{run.info.run_id}/model", "models:/shades@champion", "models:/shades/1")):
        params = params_of(weights={"kind": "mlflow", "uri": where}, mlflow_uri=uri)
        assert_same(start_of(params, tmp_path / f"{number}.safetensors"), drawn())
        keys.add(plan(params, "shades", params.experiments["shades"]).run_key)
    assert len(keys) == 1
    assert [path.name for path in (tmp_path / "runs" / "weights").iterdir()] == [f"{model.model_id}.safetensors"]

    for missing in ("models:/shades@none", "models:/other/1", "runs:/0123456789abcdef0123456789abcdef/model"):
        with pytest.raises(DataError, match=re.escape(f"weights.uri: MLflow at {uri} has no {missing}: ")) as raised:
            find_source(params, params_of(weights={"kind": "mlflow", "uri": missing}).experiments["shades"])
        assert len(str(raised.value).splitlines()) == 1


def test_the_content_of_the_weights_is_part_of_the_identity_and_their_place_is_not(
    params_of: Any, trained: Path, tmp_path: Path
) -> None:
    def key(params: Params) -> str:
        return plan(params, "shades", params.experiments["shades"]).run_key

    scratch = key(params_of())
    first = key(params_of(weights={"kind": "trained", "folder": str(trained)}))
    moved = trained.rename(tmp_path / "moved")
    assert key(params_of(weights={"kind": "trained", "folder": str(moved)})) == first != scratch
    save_file(drawn(seed=6), moved / "model.safetensors")
    assert key(params_of(weights={"kind": "trained", "folder": str(moved)})) not in (first, scratch)
    experiment: Experiment = params_of().experiments["shades"]
    assert run_key(experiment, "m", "c") == run_key(experiment, "m", "c", None) != run_key(experiment, "m", "c", "w")


class Evil:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.witness,)


def test_a_file_that_would_run_code_is_refused(params_of: Any, tmp_path: Path) -> None:
    file, witness = tmp_path / "net.pth", tmp_path / "it ran"
    torch.save({"pool.2.weight": Evil(witness)}, file)
    params = params_of(weights={"kind": "published", "file": str(file)})
    with pytest.raises(DataError, match=f"weights: {file} is no file of weights alone"):
        start_of(params, tmp_path / "start.safetensors")
    assert not witness.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory); download it first"),
        (b"", "is no file of weights alone"),
        (b"not a checkpoint", "is no file of weights alone"),
        ([torch.zeros(1)], "is not a file of weights by name"),
        ({"state_dict": {"head.weight": torch.zeros(1)}}, "is not a file of weights by name"),
        (
            {"module.pool.2.bias": torch.zeros(2), "pool.2.bias": torch.zeros(2)},
            "has module.pool.2.bias and pool.2.bias, which are the same weight of the model",
        ),
        ({"layers.0.reduction.weight": torch.zeros(1)}, "weights: blocks.0.reduce.weight has the shape [1], the model"),
    ],
)
def test_a_published_file_that_cannot_be_used_is_told_in_a_line(
    params_of: Any, content: Any, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "net.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(WaveMixError, match=re.escape(message)) as raised:
        start_of(params_of(weights={"kind": "published", "file": str(file)}), tmp_path / "start.safetensors")
    assert len(str(raised.value).splitlines()) == 1
    assert not (tmp_path / "start.safetensors").exists()


def test_a_trained_folder_that_cannot_be_used_is_told_in_a_line(params_of: Any, trained: Path, tmp_path: Path) -> None:
    weights = trained / "model.safetensors"
    params = params_of(weights={"kind": "trained", "folder": str(trained)})
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(DataError, match=f"weights: {weights} is not a whole safetensors file"):
        start_of(params, tmp_path / "start.safetensors")
    weights.unlink()
    with pytest.raises(DataError, match=r"cannot be read \(No such file or directory\); train that experiment first"):
        start_of(params, tmp_path / "start.safetensors")


def test_without_an_mlflow_there_is_nobody_to_ask(params_of: Any) -> None:
    params = params_of(weights={"kind": "mlflow", "uri": "models:/shades@champion"})
    with pytest.raises(ConfigError, match=r"weights\.uri: found models:/shades@champion, but tracking\.mlflow_uri"):
        find_source(params, params.experiments["shades"])
