"""One experiment from its name in params.yaml to its results: plan, launch, export. For the process that drives it.

It knows where everything lies, and leaves training to the launcher and the numbers to the run's own files.
"""

import csv
import io
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from wavemix.config import Experiment, Params
from wavemix.data import Deal, Manifest, check_present, read_manifest
from wavemix.errors import DataError, StoppedError, TrainingError
from wavemix.files import sha256_of, write_aside
from wavemix.launch import local, ray_train
from wavemix.launch.base import Job, Launcher
from wavemix.launch.identity import PACKAGE, code_version, run_key
from wavemix.launch.local import is_first_process
from wavemix.launch.progress import watched
from wavemix.launch.record import model_files, recorded
from wavemix.launch.stop import is_asked_to_stop
from wavemix.launch.weights import Source, find_source, write_start
from wavemix.tasks import TASKS
from wavemix.tracking import read_rows
from wavemix.tracking.mlflow import Tracked
from wavemix.tracking.models import add_model
from wavemix.training.checkpoint import META, folder_of, newest_checkpoint, place_of, read_meta, scored_weights
from wavemix.training.copies import check_place
from wavemix.training.phases import most_steps, next_phase
from wavemix.training.state import Best, Place
from wavemix.training.trained import save_trained

LAUNCHERS: Mapping[str, Launcher] = {"local": local.launch, "ray": ray_train.launch}

COMMIT = "WAVEMIX_COMMIT"

NOT_REPRODUCIBLE = ("time", "time/", "train/samples_per_second")
"""What the keys begin with of numbers that another run of the same does not give."""


@dataclass(frozen=True)
class Planned:
    """An experiment whose data are there, with its identity and the folder that this identity names."""

    name: str
    experiment: Experiment
    manifest: Manifest
    run_key: str
    run_dir: Path
    steps_per_epoch: int
    weights: Source | None
    resume_from: Path | None

    @property
    def checkpoints(self) -> Path:
        return self.run_dir / "checkpoints"

    @property
    def start(self) -> Path | None:
        """Where the run's own copy of the weights lies that it starts from."""
        return self.run_dir / "start.safetensors" if self.weights else None

    @property
    def most_steps(self) -> int:
        return most_steps(self.experiment.recipe, self.steps_per_epoch)

    def place(self) -> Place | None:
        """Where the run stands by its newest whole checkpoint; None before the first."""
        newest = newest_checkpoint(self.checkpoints)
        return place_of(read_meta(newest)) if newest else None

    def is_finished(self) -> bool:
        place = self.place()
        return place is not None and next_phase(place, self.experiment.recipe, self.steps_per_epoch) is None


def best_of(planned: Planned) -> Best:
    """The best score of a run that has a checkpoint, and the step that reached it."""
    place = planned.place()
    if place is None or place.best is None:
        raise TrainingError(f"{planned.run_dir}: no checkpoint yet, so there is no best one")
    return place.best


def plan(params: Params, name: str, experiment: Experiment, *, resume_from: Path | None = None) -> Planned:
    """Find the data, the weights to start from and the identity of an experiment.

    ``resume_from``: another run's checkpoint, from which this one goes on by the experiment's recipe. Its content is
    part of the identity.

    Raises:
        DataError: Its shards are missing or have another size than promised, or its weights cannot be had.
        ConfigError: Its batch cannot be dealt to the workers.
    """
    manifest = read_manifest(Path(params.storage.shards) / experiment.data)
    check_present(manifest)
    if missing := {"train", "val"} - set(manifest.splits):
        raise DataError(
            f"{manifest.folder}: training needs the split {' and '.join(sorted(missing))}, it has "
            f"{', '.join(manifest.splits)}; give data.{experiment.data}.source a val_fraction above 0, or the raw "
            "folder one of that name"
        )
    needed = TASKS[experiment.task.name](experiment.task, manifest.classes).schema
    if manifest.schema != needed:
        raise DataError(f"{manifest.folder}: holds {manifest.schema}; task {experiment.task.name} needs {needed}")
    workers = params.launch.most_workers if params.launch.launcher == "ray" else 1
    deal = Deal(manifest.num_samples("train"), experiment.recipe.global_batch, 0, workers, experiment.recipe.tail)
    weights = find_source(params, experiment)
    handed = sha256_of(resume_from / META) if resume_from else None
    key = run_key(experiment, manifest.sha256, code_version(), weights.sha256 if weights else None, handed)
    run_dir = Path(params.storage.runs).absolute() / key
    return Planned(name, experiment, manifest, key, run_dir, deal.steps_per_epoch, weights, resume_from)


def job_of(planned: Planned, params: Params) -> Job:
    return Job(
        experiment=planned.experiment,
        shards=planned.manifest.folder.absolute(),
        run_dir=planned.run_dir,
        run_key=planned.run_key,
        start=planned.start,
        resume_from=planned.resume_from,
        remote=_remote(params, planned.run_key),
        loader_workers=params.launch.loader_workers,
        system_every_seconds=params.tracking.system_every_seconds,
        cpu_watts=params.tracking.cpu_watts,
    )


def _remote(params: Params, run_key: str) -> str | None:
    """The second place of a run's checkpoints, the same for every process wherever it runs."""
    place = params.storage.remote
    if place is None:
        return None
    absolute = place if "://" in place else str(Path(place).absolute())
    return f"{absolute}/runs/{run_key}/checkpoints"


def tracked_run(planned: Planned, params: Params, *, parent: Tracked | None = None) -> Tracked:
    """Who this run is to MLflow; a trial hangs below the ``parent`` of its sweep."""
    tags = {
        "experiment": planned.name,
        "git_commit": git_commit(),
        "data_sha256": planned.manifest.sha256,
        "code_version": code_version(),
        **_digest_of_weights(planned),
    }
    return Tracked(
        experiment=params.tracking.mlflow_experiment,
        run_key=planned.run_key,
        name=f"{planned.name}-{planned.run_key[:6]}",
        tags=tags,
        params=planned.experiment.model_dump(mode="json"),
        parent=parent,
    )


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
    if remote := _remote(params, planned.run_key):
        check_place(remote)
    prepare_start(planned)
    with watched(planned.name, planned.run_dir / "metrics.jsonl", most_steps=planned.most_steps):
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
        **_digest_of_weights(planned),
        "data": {
            "name": manifest.name,
            "manifest_sha256": manifest.sha256,
            "samples": {split: manifest.num_samples(split) for split in manifest.splits},
        },
    }
    save_trained(target, scored_weights(folder_of(best.step, planned.checkpoints)), info)
    write_aside(target / "curves.csv", _curves(planned.run_dir / "metrics.jsonl"))


def _digest_of_weights(planned: Planned) -> dict[str, str]:
    return {"weights_sha256": planned.weights.sha256} if planned.weights else {}


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


def git_commit() -> str:
    """The commit that this runs from, with ``-dirty`` when the tree differs from it; empty without git.

    A job has none, and is told by whoever sent it.
    """
    if told := os.environ.get(COMMIT):
        return told
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PACKAGE)
    except OSError:  # no git
        return ""
    return asked.stdout.strip()
