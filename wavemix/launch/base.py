"""What every way of obtaining processes shares: the job that each process does, and doing it.

It knows the experiment and where things lie; Ray and torchrun are the launchers' business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wavemix.config import Experiment, Launch
from wavemix.data import read_manifest
from wavemix.tasks import TASKS
from wavemix.tracking import sampled_system
from wavemix.training.run import Runtime, train


@dataclass(frozen=True)
class Job:
    """One training, the same for all its processes. Folders are absolute, and the same on every node."""

    experiment: Experiment
    shards: Path
    run_dir: Path
    run_key: str
    start: Path | None  # the file with the weights to start from
    loader_workers: int
    system_every_seconds: float


Launcher = Callable[[Job, Launch], None]
"""Returns when the job is done; raises TrainingError when it cannot be."""


def work(job: Job, runtime: Runtime, *, node: str | None) -> None:
    """What each process does. ``node`` names its machine if this process is to watch it, else it is None."""
    manifest = read_manifest(job.shards)
    experiment = job.experiment
    task = TASKS[experiment.task.name](experiment.task, manifest.classes)

    def run() -> None:
        train(
            task,
            experiment.recipe,
            manifest,
            job.run_dir,
            seed=experiment.seed,
            runtime=runtime,
            start=job.start,
            loader_workers=job.loader_workers,
        )

    if node is None:
        run()
        return
    with sampled_system(job.run_dir, node, every_seconds=job.system_every_seconds):
        run()
