"""One experiment from params to results in this process: what is finished, what is done again, what is exported."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from factories.shades import MODEL
from wavemix.config import Params
from wavemix.launch.experiment import train_experiment
from wavemix.launch.plan import best_of, plan
from wavemix.training.checkpoint import AVERAGE, checkpoints, folder_of

PATIENT = {"optimizer": "sgd", "num_epochs": 30, "lr": 1e-12, "patience": 2}


def results(params: Params) -> Path:
    return Path(params.storage.results) / "experiments" / "shades" / "train"


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def test_an_early_stop_ends_the_run_and_a_rerun_does_nothing(params_of: Any) -> None:
    params = params_of(phases=(PATIENT,), model={**MODEL, "mixer": "none"})
    train_experiment(params, "shades")
    planned = plan(params, "shades", params.experiments["shades"])
    place = planned.place()
    assert place is not None
    assert place.best is not None
    assert place.step == place.best.reached + 2 * 2 < planned.most_steps == 60
    assert planned.is_finished()
    told = json.loads((results(params) / "model.json").read_text())
    assert (told["num_steps"], told["step"]) == (place.step, place.best.step)
    before = contents(planned.run_dir)
    train_experiment(params, "shades")
    after = contents(planned.run_dir)
    notes = {"run.json", "ended.json", "resources.json"}  # of whoever started it
    assert {name: after[name] for name in before.keys() - notes} == {
        name: before[name] for name in before.keys() - notes
    }
    assert after.keys() == before.keys()


def test_a_run_that_was_interrupted_is_not_finished(params_of: Any) -> None:
    params = params_of()
    planned = plan(params, "shades", params.experiments["shades"])
    assert not planned.is_finished()
    train_experiment(params, "shades")
    assert planned.is_finished()
    newest = checkpoints(planned.checkpoints)[-1]
    newest.rename(newest.with_name("lost"))
    assert not planned.is_finished()


def test_what_is_exported_is_the_average_that_was_scored(params_of: Any) -> None:
    params = params_of()
    recipe = params.experiments["shades"].recipe.model_copy(update={"ema_decay": 0.5})
    experiment = params.experiments["shades"].model_copy(update={"recipe": recipe})
    params = params.model_copy(update={"experiments": {"shades": experiment}})
    train_experiment(params, "shades")
    planned = plan(params, "shades", experiment)
    averaged = folder_of(best_of(planned).step, planned.checkpoints) / AVERAGE
    assert (results(params) / "model.safetensors").read_bytes() == averaged.read_bytes()


def test_what_only_describes_an_experiment_is_no_part_of_its_identity(params_of: Any) -> None:
    params = params_of()
    experiment = params.experiments["shades"]
    key = plan(params, "shades", experiment).run_key
    assert plan(params, "another name", experiment).run_key == key
    assert plan(params, "shades", experiment.model_copy(update={"scored_on": ("shades",)})).run_key == key
    assert plan(params, "shades", experiment.model_copy(update={"seed": 1})).run_key != key


def test_weights_of_an_experiment_give_a_head_start_and_are_told_of(
    params_of: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    first = params_of()
    train_experiment(first, "shades")
    trained = load_file(results(first) / "model.safetensors")
    again = params_of(
        phases=({**PATIENT, "num_epochs": 1},), weights={"kind": "trained", "folder": str(results(first))}
    )
    capsys.readouterr()
    planned = plan(again, "shades", again.experiments["shades"])
    train_experiment(again, "shades")
    assert f"weights: starts from {results(first) / 'model.safetensors'}; fresh: nothing" in capsys.readouterr().err
    found = load_file(results(again) / "model.safetensors")  # a rate of 1e-12: they are still those that it began with
    assert all(found[name].allclose(trained[name], atol=1e-6) for name in found if name.endswith(("weight", "bias")))
    assert planned.weights is not None
    assert json.loads((results(again) / "model.json").read_text())["weights_sha256"] == planned.weights.sha256
    tags = json.loads((planned.run_dir / "run.json").read_text())["tracking"]["tags"]
    assert tags["weights_sha256"] == planned.weights.sha256


ALONE = """
import sys
from importlib.machinery import PathFinder

ABSENT = ("ray", "mlflow", "dvc", "webdataset", "albumentations", "cv2", "sklearn")

class Without:
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else PathFinder.find_spec(name, path, target)

sys.meta_path = [Without() if finder is PathFinder else finder for finder in sys.meta_path]

from pathlib import Path
from wavemix.config import Params
from wavemix.data import read_manifest
from wavemix.launch.experiment import train_experiment
from wavemix.training.scoring import score
from wavemix.training.trained import load_trained

params = Params.model_validate_json(Path(sys.argv[1]).read_text())
train_experiment(params, "shades")
folder = Path(params.storage.results) / "experiments" / "shades"
manifest = read_manifest(Path(params.storage.shards) / "shades")
print(score(load_trained(folder / "train"), manifest, folder / "evaluation", split="val", batch_size=3)["top1"])
"""


def test_training_and_evaluation_need_torch_and_the_shards_alone(params_of: Any, tmp_path: Path) -> None:
    (tmp_path / "params.json").write_text(params_of().model_dump_json())
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path / "params.json")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    assert 0 <= float(done.stdout) <= 1
