"""What a run left behind, in its files and in MLflow, and whether it is what a run without trouble leaves.

It knows files and curves, and nothing of hosts or faults. `python -m infra.evidence URI FILE` writes MLflow's curves to
a file: for a process on a host that reaches the server.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wavemix.tracking import read_rows

Curve = Sequence[tuple[int, float]]
"""(step, value), in the order in which they were measured."""

Curves = Mapping[str, Curve]
"""By metric."""

TIMES = ("time/", "train/samples_per_second")
"""Metrics that are measured anew when a step is done again; MLflow keeps the first values."""


@dataclass(frozen=True)
class Trained:
    """The files of a run that has ended."""

    curves: Curves  # metrics.jsonl
    table: str  # curves.csv
    weights_sha256: str

    @property
    def samples_of_epochs(self) -> list[int]:
        """How many samples all ranks together trained on, epoch by epoch."""
        return [int(value) for _, value in self.curves["train/epoch_samples"]]


def read_trained(storage: Path, experiment: str) -> Trained:
    """The only run in ``storage``, and its results."""
    (metrics,) = storage.glob("runs/*/metrics.jsonl")
    curves: dict[str, list[tuple[int, float]]] = {}
    for row in read_rows(metrics):
        for key, value in row.items():
            if "/" in key:
                curves.setdefault(key, []).append((row["step"], value))
    results = storage / "results" / "experiments" / experiment / "train"
    weights = hashlib.sha256((results / "model.safetensors").read_bytes()).hexdigest()
    return Trained(curves, (results / "curves.csv").read_text(), weights)


def differences(found: Trained, reference: Trained) -> list[str]:
    """What tells a run from another, in sentences; none if they are the same."""
    told = []
    if found.samples_of_epochs != reference.samples_of_epochs:
        told.append(f"samples seen per epoch: {found.samples_of_epochs}, expected {reference.samples_of_epochs}")
    if found.table != reference.table:
        told.append("curves.csv is another")
    if found.weights_sha256 != reference.weights_sha256:
        told.append("the weights are others")
    return told


def flaws(shown: Mapping[str, Curves], written: Curves) -> list[str]:
    """What is wrong with the curves in MLflow (by run id) beside those in the run's files, in sentences."""
    if len(shown) != 1:
        return [f"MLflow shows {len(shown)} runs"]
    (curves,) = shown.values()
    told = [f"{key}: {flaw}" for key, curve in curves.items() if (flaw := _flaw(curve))]
    return told + [
        f"{key}: not what was written"
        for key, curve in written.items()
        if _comparable(key, curves.get(key, [])) != _comparable(key, curve)
    ]


def _comparable(key: str, curve: Curve) -> list[tuple[int, float]]:
    return [(step, 0.0 if key.startswith(TIMES) else value) for step, value in curve]


def _flaw(curve: Curve) -> str | None:
    steps = [step for step, _ in curve]
    if len(set(steps)) < len(steps):
        return "steps are doubled"
    if steps != sorted(steps):
        return "steps go back"
    return None


def write_shown(uri: str, file: Path) -> None:
    """Write what an MLflow server shows, by run and metric, in the order of time."""
    from mlflow import MlflowClient  # noqa: PLC0415  (takes seconds to import)

    client = MlflowClient(uri)
    shown = {
        run.info.run_id: {
            key: sorted(client.get_metric_history(run.info.run_id, key), key=lambda point: point.timestamp)
            for key in run.data.metrics
        }
        for run in client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    }
    file.write_text(json.dumps(shown, default=lambda point: (point.step, point.value)))


def read_shown(file: Path) -> dict[str, Curves]:
    return {
        run: {key: [(step, value) for step, value in curve] for key, curve in curves.items()}
        for run, curves in json.loads(file.read_text()).items()
    }


if __name__ == "__main__":
    write_shown(sys.argv[1], Path(sys.argv[2]))
