"""Which sweeps are refused before anything starts: samplers, schedulers and spaces that do not fit together."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from wavemix.config import load_params
from wavemix.errors import ConfigError

SHIPPED = Path(__file__).parents[2] / "params.yaml"
LR = {"recipe.phases.0.lr": {"log_uniform": [1.0e-4, 1.0e-2]}}
ASHA = {"kind": "asha", "grace_epochs": 4}
PBT = {"kind": "pbt", "every_epochs": 4}


Check = Callable[..., None]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Reads params.yaml with this one sweep of the digits."""
    tree: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    tree["experiments"] = {"digits": tree["experiments"]["digits"]}
    tree["active"] = {"data": [], "experiments": {}, "sweeps": {}}

    def read(**changes: Any) -> None:
        sweep = {"experiment": "digits", "num_trials": 4, "workers_per_trial": 1, "space": LR, **changes}
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump({**tree, "sweeps": {"s": sweep}}))
        load_params(path)

    return read


@pytest.mark.parametrize(
    "sweep",
    [
        {"sampler": "optuna", "scheduler": ASHA},
        {"scheduler": PBT, "space": {**LR, "task.model.dropout": {"uniform": [0.0, 0.5]}}},
        {"scheduler": PBT, "space": {**LR, "task.augment.rotate": {"uniform": [0.0, 20.0]}}},
        {"space": {"task.model.dim": {"choice": [8, 16]}, "seed": {"choice": [0, 1]}}},
        {"sampler": "optuna", "space": {**LR, "task.model.dim": {"choice": [8, 16]}}, "num_trials": 100},
    ],
)
def test_what_fits_together_is_taken(check: Check, sweep: dict[str, Any]) -> None:
    check(**sweep)


@pytest.mark.parametrize(
    ("sweep", "line"),
    [
        (
            {"scheduler": {"kind": "asha", "grace_epochs": 20}},
            "scheduler.grace_epochs: asha would first look at epoch 20 (scores come every 1), where the recipe of 20 "
            "epochs has ended",
        ),
        (
            {"scheduler": ASHA, "overrides": {"recipe.phases.0.num_epochs": 2, "recipe.phases.1.num_epochs": 1}},
            "scheduler.grace_epochs: asha would first look at epoch 4 (scores come every 1), where the recipe of 3 "
            "epochs has ended",
        ),
        (
            {"scheduler": PBT, "overrides": {"recipe.eval_every_epochs": 30}},
            "scheduler.every_epochs: pbt would first look at epoch 30 (scores come every 30), where the recipe of 20 "
            "epochs has ended",
        ),
        (
            {"scheduler": ASHA, "space": {"recipe.phases.0.num_epochs": {"choice": [8, 16]}}, "num_trials": 2},
            "space.recipe.phases.0.num_epochs: asha compares trials by their epochs, so all of them need the same "
            "number",
        ),
        (
            {"scheduler": PBT, "space": {**LR, "task.model.dim": {"choice": [8, 16]}}},
            "space.task.model.dim: pbt changes a leaf in the middle of a run, where this one cannot change",
        ),
        (
            {"scheduler": PBT, "space": {**LR, "recipe.global_batch": {"choice": [32, 64]}}},
            "space.recipe.global_batch: pbt changes a leaf in the middle of a run, where this one cannot change",
        ),
        (
            {"scheduler": PBT, "space": {"recipe.phases.0.lr": {"choice": [0.1, 0.2]}}, "num_trials": 2},
            "space.recipe.phases.0.lr: pbt changes numbers; allowed: log_uniform and uniform",
        ),
        (
            {"scheduler": PBT, "sampler": "optuna"},
            "sampler: found optuna, but pbt changes settings by itself; allowed: random",
        ),
        ({"scheduler": PBT, "num_trials": 1}, "num_trials: found 1, but pbt needs a population; allowed: 2 and more"),
        (
            {"sampler": "optuna", "space": {"task.model.dim": {"choice": [8, 16]}}},
            "sampler: found optuna, which may draw the same choices twice; allowed: random, or a number to draw",
        ),
        (
            {"space": {"task.model.dim": {"choice": [8, 16]}, "seed": {"choice": [0]}}},
            "num_trials: found 4, but its choices make 2 different trials",
        ),
        (
            {"space": {**LR, "scored_on": {"choice": [[]]}}},
            "space.scored_on: decides nothing of a training; allowed: leaves of task, recipe and seed",
        ),
        (
            {"space": {"task.mean": {"choice": [[0.3], [0.3, 0.3, 0.3]]}}},
            "space: task.mean: found 3 numbers, one for each of the 1 model.in_channels is needed",
        ),
    ],
)
def test_what_does_not_is_one_line(check: Check, sweep: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(**sweep)
    assert str(caught.value).endswith(f"params.yaml: sweeps.s.{line}")


def test_the_same_choice_twice_is_refused(check: Check) -> None:
    with pytest.raises(ConfigError, match=r"sweeps\.s\.space\.seed\.choice: found .*, allowed: values that differ"):
        check(space={"seed": {"choice": [1, 0, 1]}})
