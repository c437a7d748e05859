"""The smallest experiment that can be launched: on shades, in this process, with no server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from factories.shades import SECTION, written
from factories.threads import one_thread  # noqa: F401  (a fixture)
from wavemix.config import Params

MakeParams = Callable[..., Params]

PHASE = {"optimizer": "adamw", "num_epochs": 2, "lr": 0.01}


@pytest.fixture
def params_of(tmp_path: Path) -> MakeParams:
    """Params with one experiment, ``shades``, whose data are prepared; everything lies below the test's folder."""
    written(tmp_path / "shards" / "shades", {"train": range(16), "val": range(16, 24)})

    def make(
        *, phases: tuple[Any, ...] = (PHASE,), weights: Any = None, mlflow_uri: str | None = None, **task: Any
    ) -> Params:
        tree = {
            "active": {"data": [], "experiments": {}, "sweeps": {}},
            "data": {},
            "experiments": {
                "shades": {
                    "data": "shades",
                    "task": {**SECTION, **task},
                    "recipe": {"global_batch": 8, "eval_batch": 8, "phases": phases},
                    "weights": weights,
                }
            },
            "sweeps": {},
            "launch": {"launcher": "local", "num_workers": 1},
            "tracking": {"mlflow_uri": mlflow_uri},
            "storage": {name: str(tmp_path / name) for name in ("shards", "runs", "results", "reports")},
        }
        return Params.model_validate_json(json.dumps(tree))

    return make
