"""One experiment from its name in params.yaml to its results: plan, launch, export. For the process that drives it.

It knows where everything lies, and leaves training to the launcher and the numbers to the run's own files.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import torch

from wavemix.config import Params
from wavemix.errors import StoppedError, TrainingError
from wavemix.files import write_aside
from wavemix.launch import local, ray_train
from wavemix.launch.base import Launcher
from wavemix.launch.identity import code_version
from wavemix.launch.local import is_first_process
from wavemix.launch.plan import Planned, best_of, job_of, plan, remote_of, tracked_run
from wavemix.launch.progress import watched
from wavemix.launch.record import model_files, recorded
from wavemix.launch.stop import is_asked_to_stop
from wavemix.launch.weights import write_start
from wavemix.tasks import TASKS
from wavemix.tracking import read_rows
from wavemix.tracking.models import add_model
from wavemix.training.checkpoint import folder_of, scored_weights
from wavemix.training.copies import check_place
from wavemix.training.trained import save_trained

LAUNCHERS: Mapping[str, Launcher] = {"local": local.launch, "ray": ray_train.launch}

NOT_REPRODUCIBLE = ("time", "time/", "train/samples_per_second")
"""What the keys begin with of numbers that another run of the same does not give."""


def train_experiment(params: Params, name: str) -> None:
    """Train the experiment, or go on where it was interrupted, and write its results.

    Raises:
        TrainingError: The launcher could not bring it to its end; what is done so far is kept.
    """
    planned = plan(params, name, params.experiments[name])
    launch = LAUNCHERS[params.launch.launcher]
    if not is_first_process():  # a rank of torchrun that only trains
        if not planned.is_finished():  # the first process asks the same of the same files
            launch(job_of(planned, params), params.launch)
        return
    tracked, uri = tracked_run(planned, params), params.tracking.mlflow_uri
    with recorded(tracked, planned.run_dir, params.tracking) as complete:
        train_watched(planned, params)
    target = Path(params.storage.results) / "experiments" / name / "train"
    export(planned, target)
    if uri and complete.is_set():  # else it does not answer, and `wavemix sync-tracking` sends it later
        add_model(uri, tracked, model_files(target))


def train_watched(planned: Planned, params: Params) -> None:
    """Train with the progress shown; nothing is left to do for a run that is finished."""
    launch = LAUNCHERS[params.launch.launcher]
    if planned.is_finished():
        return
    if remote := remote_of(params, planned.run_key):
        check_place(remote)
    prepare_start(planned)
    with watched(planned.name, planned.run_dir, most_steps=planned.most_steps):
        launch(job_of(planned, params), params.launch)
    if not planned.is_finished():
        if is_asked_to_stop(planned.run_dir):
            place = planned.place()
            raise StoppedError(f"stopped after step {place.step if place else 0}; run it again to go on from there")
        raise TrainingError(f"{planned.run_dir}: the launcher ended before the recipe did; run it again")


def prepare_start(planned: Planned) -> None:
    """Put the weights to start from where all processes find them; nothing is left to do for a run that goes on."""
    if planned.weights and planned.start:
        write_start(planned.weights, planned.experiment, planned.manifest.classes, planned.start)


def export(planned: Planned, target: Path) -> None:
    """Write the best weights, what they need to be used, and the curves. The same run gives the same bytes."""
    best, manifest, experiment = best_of(planned), planned.manifest, planned.experiment
    place = planned.place()
    assert place is not None
    task = TASKS[experiment.task.name](experiment.task, manifest.classes)
    with torch.device("meta"):
        num_parameters = sum(parameter.numel() for parameter in task.build_model().parameters())
    info = {
        "experiment": planned.name,
        "run_key": planned.run_key,
        "code_version": code_version(),
        "task": experiment.task.model_dump(mode="json"),
        "classes": list(manifest.classes),
        "goal": list(task.goal),
        "val_score": best.score,
        "step": best.step,
        "num_steps": place.step,
        "num_parameters": num_parameters,
        **planned.digest_of_weights,
        "data": {
            "name": manifest.name,
            "manifest_sha256": manifest.sha256,
            "samples": {split: manifest.num_samples(split) for split in manifest.splits},
        },
    }
    save_trained(target, scored_weights(folder_of(best.step, planned.checkpoints)), info)
    write_aside(target / "curves.csv", _curves(planned.run_dir / "metrics.jsonl"))


def _curves(metrics: Path) -> bytes:
    """All numbers by step as CSV, an empty cell where one was not measured; times are left out."""
    steps: dict[int, dict[str, float]] = {}
    for row in read_rows(metrics):
        steps.setdefault(row["step"], {}).update(
            {key: value for key, value in row.items() if key != "step" and not key.startswith(NOT_REPRODUCIBLE)}
        )
    columns = ["step", *dict.fromkeys(key for row in steps.values() for key in row)]
    text = io.StringIO()
    rows = csv.DictWriter(text, columns, lineterminator="\n")
    rows.writeheader()
    rows.writerows({"step": step, **row} for step, row in sorted(steps.items()))
    return text.getvalue().encode()
