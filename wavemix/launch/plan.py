"""What an experiment of params.yaml is before it trains: its data, its identity, its folder, and what others are told.

It starts nothing and writes nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from wavemix.config import Experiment, Params
from wavemix.data import Deal, Manifest, check_present, read_manifest
from wavemix.errors import DataError, TrainingError
from wavemix.files import sha256_of
from wavemix.launch.base import Job
from wavemix.launch.identity import code_version, git_commit, run_key
from wavemix.launch.weights import Source, find_source
from wavemix.tasks import TASKS
from wavemix.tracking.mlflow import Tracked
from wavemix.training.checkpoint import META, newest_checkpoint, place_of, read_meta
from wavemix.training.phases import most_steps, next_phase
from wavemix.training.state import Best, Place


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

    @property
    def digest_of_weights(self) -> dict[str, str]:
        """What results and tracking say of the weights that it starts from; nothing where it starts fresh."""
        return {"weights_sha256": self.weights.sha256} if self.weights else {}


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
        remote=remote_of(params, planned.run_key),
        loader_workers=params.launch.loader_workers,
        system_every_seconds=params.tracking.system_every_seconds,
        cpu_watts=params.tracking.cpu_watts,
    )


def remote_of(params: Params, run_key: str) -> str | None:
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
        **planned.digest_of_weights,
    }
    return Tracked(
        experiment=params.tracking.mlflow_experiment,
        run_key=planned.run_key,
        name=f"{planned.name}-{planned.run_key[:6]}",
        tags=tags,
        params=planned.experiment.model_dump(mode="json"),
        parent=parent,
    )
