"""What a job is known by, what it is sent, and what is said, before anything is sent, of what it would lack."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wavemix.config import Params, load_params
from wavemix.errors import ConfigError, DataError, TrainingError
from wavemix.launch.experiment import train_experiment
from wavemix.launch.jobs import submission as submissions
from wavemix.launch.jobs.ray_job import submit
from wavemix.launch.jobs.submission import submission_of, write_folder
from wavemix.launch.plan import plan

MakeParams = Callable[..., Params]


@pytest.fixture
def params(params_of: MakeParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Params]:
    """The experiment ``shades`` and a sweep over it, with changes of sections by keyword."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    digits = {"name": "digits", "val_fraction": 0.1, "test_fraction": 0.1, "seed": 0}

    def make(**sections: dict[str, Any]) -> Params:
        tree = params_of().model_dump(mode="json")
        tree["data"]["shades"] = {"source": digits, "samples_per_shard": 10}
        space = {"recipe.phases.0.lr": {"log_uniform": [0.001, 0.1]}}
        tree["sweeps"]["lr"] = {"experiment": "shades", "num_trials": 2, "workers_per_trial": 1, "space": space}
        for section, changes in sections.items():
            tree[section] |= changes
        return Params.model_validate_json(json.dumps(tree))

    return make


TRAIN_LONGER = {"phases": [{"optimizer": "adamw", "num_epochs": 3, "lr": 0.01}], "global_batch": 8, "eval_batch": 8}


def changed(params: Params, **leaves: Any) -> Params:
    shades = params.experiments["shades"].model_dump(mode="json") | leaves
    return Params.model_validate_json(json.dumps(params.model_dump(mode="json") | {"experiments": {"shades": shades}}))


@pytest.mark.parametrize(("stage", "name"), [("train", "shades"), ("tune", "lr")])
def test_a_job_is_known_by_what_decides_its_outcome(params: Callable[..., Params], stage: str, name: str) -> None:
    asked = params()
    identity = submission_of(asked, stage, name).id
    assert identity.startswith(f"{stage}-{name}-")
    assert submission_of(params(launch={"num_workers": 2, "jobs": "http://head:8265"}), stage, name).id == identity
    assert submission_of(changed(asked, recipe=TRAIN_LONGER), stage, name).id != identity
    if stage == "train":
        assert identity.endswith(plan(asked, name, asked.experiments[name]).run_key)


def test_the_folder_of_a_job_holds_code_and_params_and_gives_the_same_run(
    params: Callable[..., Params], tmp_path: Path
) -> None:
    submission = submission_of(params(launch={"jobs": "http://head:8265", "address": "head:6379"}), "train", "shades")
    write_folder(submission, tmp_path / "sent")
    there = load_params(tmp_path / "sent" / "params.yaml")
    assert submission_of(there, "train", "shades").id == submission.id
    assert (there.launch.jobs, there.launch.address) == (None, None)
    sent = {path.relative_to(tmp_path / "sent").as_posix() for path in (tmp_path / "sent").rglob("*") if path.is_file()}
    assert {"params.yaml", "pipelines/train.py", "wavemix/models/wavemix.py", "wavemix/report/page.html.j2"} <= sent
    assert not [
        path for path in sent if not path.startswith(("wavemix/", "pipelines/")) and path not in ("params.yaml", "job")
    ]
    assert not [path for path in sent if "__pycache__" in path]


def test_of_shards_elsewhere_the_small_files_are_sent(params: Callable[..., Params], tmp_path: Path) -> None:
    here = params(storage={"shards": "shards"})
    with pytest.raises(
        DataError, match=r"^shards/shades: its shards lie on this machine, where a cluster cannot .*\ncopy"
    ):
        submission_of(here, "train", "shades")
    elsewhere = tmp_path / "store"
    elsewhere.mkdir()
    for tar in (tmp_path / "shards/shades").glob("*.tar"):
        shutil.move(tar, elsewhere)
    (tmp_path / "shards/shades/location").write_text(f"{elsewhere}\n")
    sent = [path for path in submission_of(here, "train", "shades").files if path.startswith("shards/")]
    assert {Path(path).name for path in sent} >= {"manifest.json", "location"}
    assert {Path(path).suffixes[0] for path in sent if Path(path).suffix == ".npy"} == {".index"}
    assert len(sent) == len(list((tmp_path / "shards/shades").iterdir()))
    (tmp_path / "shards/shades/location").write_text("store")
    with pytest.raises(DataError, match="lie on this machine"):
        submission_of(here, "train", "shades")


LOST: dict[str, tuple[dict[str, Any], str]] = {
    "runs of this machine": (
        {"runs": "runs"},
        r"^storage\.runs: found 'runs', a folder of this machine: .*\nset storage",
    ),
    "remote of this machine": ({"remote": "far"}, r"^storage\.remote: found 'far', a folder of this machine"),
    "a folder that is not here": ({"remote": "/no/such"}, r"^storage\.remote: /no/such is no folder of this machine"),
}


@pytest.mark.parametrize(("storage", "told"), LOST.values(), ids=LOST)
def test_outputs_that_would_be_lost_are_an_error(
    storage: dict[str, Any], told: str, params: Callable[..., Params]
) -> None:
    with pytest.raises(ConfigError, match=told):
        submission_of(params(storage=storage), "train", "shades")


def test_an_object_store_holds_the_outputs_of_runs_on_this_machine(params: Callable[..., Params]) -> None:
    asked = params(storage={"runs": "runs", "remote": "s3://bucket/prefix/"})
    submission = submission_of(asked, "tune", "lr")
    assert submission.place == f"s3://bucket/prefix/jobs/{submission.id}"
    assert submission.outputs == "sweeps/lr"


def test_a_model_is_scored_as_it_is(params: Callable[..., Params], tmp_path: Path) -> None:
    asked = params(storage={"results": "results"})
    with pytest.raises(DataError, match=r"^results/experiments/shades/train: there is no trained model; train shades"):
        submission_of(asked, "evaluate", "shades")
    train_experiment(asked, "shades")
    submission = submission_of(asked, "evaluate", "shades")
    assert submission.computes
    assert "results/experiments/shades/train/model.safetensors" in submission.inputs
    weights = tmp_path / "results/experiments/shades/train/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert submission_of(asked, "evaluate", "shades").id != submission.id
    assert not submission_of(params(storage={"results": f"{tmp_path}/results"}), "evaluate", "shades").inputs


def test_weights_to_start_from_go_to_whoever_reads_them(params: Callable[..., Params], tmp_path: Path) -> None:
    train_experiment(params(storage={"results": "results"}), "shades")
    weights = {"kind": "trained", "folder": "results/experiments/shades/train"}
    asked, file = changed(params(), weights=weights), f"{weights['folder']}/model.safetensors"
    train, tune = submission_of(asked, "train", "shades"), submission_of(asked, "tune", "lr")
    assert (file in train.inputs, file in train.files) == (True, False)
    assert (file in tune.inputs, file in tune.files) == (False, True)
    weights["folder"] = f"../{tmp_path.name}/{weights['folder']}"
    with pytest.raises(ConfigError, match=r"^\.\./.* lies outside the project"):
        submission_of(changed(params(), weights=weights), "train", "shades")


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "mlruns"])
def test_an_mlflow_of_this_machine_is_left_out_and_that_is_said(
    uri: str, params: Callable[..., Params], caplog: pytest.LogCaptureFixture
) -> None:
    sent = submission_of(params(tracking={"mlflow_uri": uri}), "train", "shades").params
    assert sent.tracking.mlflow_uri is None
    assert f"tracking.mlflow_uri: {uri} is a file of this machine, so the job is not shown" in caplog.text


@pytest.mark.parametrize("uri", ["http://mlflow:5000", "sqlite:////shared/mlflow.db"])
def test_an_mlflow_of_everybody_is_kept(
    uri: str, params: Callable[..., Params], caplog: pytest.LogCaptureFixture
) -> None:
    assert submission_of(params(tracking={"mlflow_uri": uri}), "train", "shades").params.tracking.mlflow_uri == uri
    assert not caplog.text


def test_more_than_a_job_server_takes_is_said_before(
    params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submissions, "MOST_BYTES", 2**19)
    with pytest.raises(ConfigError, match=r"^\d MiB are to be sent, a job server takes 0; the most is wavemix/.*\nput"):
        submission_of(params(), "train", "shades")


def test_what_nobody_can_do_is_said_at_once(params: Callable[..., Params]) -> None:
    for stage, name, told in (
        ("prepare", "shades", r"^stage 'prepare': only train, tune, evaluate can be sent to a cluster$"),
        ("train", "lr", r"^'lr' is not in the section experiments of params\.yaml: shades$"),
        ("tune", "shades", r"^'shades' is not in the section sweeps of params\.yaml: lr$"),
    ):
        with pytest.raises(ConfigError, match=told):
            submit(params(), stage, name)
    with pytest.raises(ConfigError, match=r"^launch\.jobs: null; set it to the address of a cluster's job server"):
        submit(params(), "train", "shades")
    with pytest.raises(ConfigError, match=r"^launch\.jobs: found 'head:8265', needed an address such as http://"):
        submit(params(), "train", "shades", address="head:8265")
    with pytest.raises(TrainingError, match=r"^launch\.jobs: no job server answers at http://127\.0\.0\.1:9 \(Conn"):
        submit(params(), "train", "shades", address="http://127.0.0.1:9")
