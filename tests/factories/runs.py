"""Runs to track: a folder with rows as training writes them, and what an MLflow has of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavemix.tracking import JsonLines
from wavemix.tracking.mlflow import Tracked, connect

PARAMS = {"seed": 0, "recipe": {"global_batch": 64, "phases": [{"lr": 0.1}, {"lr": 0.2}], "betas": [0.9, 0.99]}}


@dataclass(frozen=True)
class Folder:
    """A run's folder, and who the run is."""

    path: Path
    tracked: Tracked

    def write(self, steps: Sequence[int], *, last_step: int = 0, began: float = 1000.0, **more: float) -> None:
        """Rows of these steps behind those up to ``last_step``, as a worker writes them that goes on from there."""
        lines = JsonLines(self.path / "metrics.jsonl", last_step=last_step)
        for step in steps:
            lines.write({"step": step, "time": began + step, "epoch": 1.0, "train/loss": step / 2, **more})


def folder_in(where: Path, name: str, parent: Tracked | None = None) -> Folder:
    tracked = Tracked(name, "0123abcd", "digits-0123ab", {"experiment": "digits"}, PARAMS, parent)
    return Folder(where / "0123abcd", tracked)


def runs_of(uri: str, experiment: str) -> list[Any]:
    client = connect(uri)
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id])) if found else []


def history(uri: str, experiment: str, key: str) -> list[tuple[int, float]]:
    """Steps and values of the one run there is, in the order of their steps; a doubled one is there twice."""
    runs = runs_of(uri, experiment)
    assert len(runs) == 1, runs
    return sorted((one.step, one.value) for one in connect(uri).get_metric_history(runs[0].info.run_id, key))
