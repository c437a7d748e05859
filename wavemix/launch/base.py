"""What every way of obtaining processes shares: the job that each process does, and doing it.

It knows the experiment and where things lie; Ray and torchrun are the launchers' business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from wavemix.config import Experiment, Launch
from wavemix.data import read_manifest
from wavemix.launch.stop import is_asked_to_stop
from wavemix.tasks import TASKS
from wavemix.tracking import sampled_system
from wavemix.training.fence import Fence
from wavemix.training.loop import Report
from wavemix.training.requests import Request
from wavemix.training.run import Runtime, train


@dataclass(frozen=True)
class Job:
    """One training, the same for all its processes. Folders are absolute, and the same on every node."""

    experiment: Experiment
    shards: Path
    run_dir: Path
    run_key: str
    start: Path | None  # the file with the weights to start from
    resume_from: Path | None  # another run's checkpoint to go on from
    remote: str | None  # a second place for its checkpoints
    loader_workers: int
    system_every_seconds: float
    cpu_watts: float | None


Launcher = Callable[[Job, Launch], None]
"""Returns when the job is done; raises TrainingError when it cannot be."""


def runtime_of(
    job: Job, settings: Launch, device: torch.device, report: Report, asked: Callable[[], Request]
) -> Runtime:
    """What the loop asks of its surroundings, as the settings have it; a file asks it to stop, ``asked`` for more."""
    minutes = settings.checkpoint_every_minutes

    def asked_by_all() -> Request:
        more = asked()  # always: it may have to be called on all ranks
        return Request.STOP if is_asked_to_stop(job.run_dir) else more

    return Runtime(
        device,
        report,
        asked_by_all,
        save_every_seconds=minutes * 60 if minutes else None,
        keep_checkpoints=settings.keep_checkpoints,
        hang_seconds=settings.hang_seconds,
        remote=job.remote,
    )


def work(job: Job, runtime: Runtime, *, node: str | None) -> None:
    """What each process does. ``node`` names its machine if this process is to watch it, else it is None."""
    manifest = read_manifest(job.shards)
    experiment = job.experiment
    task = TASKS[experiment.task.name](experiment.task, manifest.classes)

    fence = Fence(job.run_dir)

    def run() -> None:
        train(
            task,
            experiment.recipe,
            manifest,
            job.run_dir,
            seed=experiment.seed,
            runtime=runtime,
            start=job.start,
            resume_from=job.resume_from,
            fence=fence,
            loader_workers=job.loader_workers,
        )

    if node is None:
        run()
        return
    with sampled_system(
        job.run_dir,
        node,
        every_seconds=job.system_every_seconds,
        cpu_watts=job.cpu_watts,
        gpus=runtime.device.type == "cuda",
        may_write=fence.holds,
    ):
        run()
