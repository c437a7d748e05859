"""What Ray says of workers that failed, in our words: noted in the run's folder, and raised when it has given up.

Imported once Ray's settings are made: Ray reads them when it is imported.
"""

from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

from ray.train import UserCallback

from wavemix.config import Launch
from wavemix.errors import TrainingError, WaveMixError, WorkersError
from wavemix.tracking import note_fault


class Failures(UserCallback):  # type: ignore[misc]
    """Notes why Ray starts the workers again, which it does without a word."""

    def __init__(self, run_dir: Path, own_error: Path) -> None:
        self._run_dir, self._own_error = run_dir, own_error

    def after_exception(self, run_context: Any, worker_exceptions: Mapping[int, Exception]) -> None:  # noqa: ARG002
        if not self._own_error.exists():  # that one is not tried again, and told by the driver
            rank, why = _telling(worker_exceptions)
            note_fault(self._run_dir, "failed", f"worker {rank} failed: {why}", rank=rank)


def explained(error: Exception, settings: Launch, needed: Mapping[str, float]) -> WaveMixError:
    """What ``trainer.fit`` raised, in a line. ``needed``: resources of a worker."""
    if failures := getattr(error, "worker_failures", {}):
        rank, why = _telling(failures)
        return WorkersError(
            f"worker {rank} failed, and so did {settings.max_failures} restarts (launch.max_failures): {why}"
        )
    failure = getattr(error, "controller_failure", None) or error
    if type(failure).__name__.startswith("WorkerGroupStartup"):
        each = ", ".join(f"{number:g} {kind}" for kind, number in needed.items())
        return WorkersError(
            f"the cluster has no room for {settings.fewest_workers} workers of {each} each, see `ray status`: add "
            "nodes, or lower launch.num_workers ({min, max} takes what there is)"
        )
    return TrainingError(f"Ray Train gave up: {type(failure).__name__}: {' '.join(str(failure).split())[:300]}")


def _telling(failures: Mapping[int, Exception]) -> tuple[int, str]:
    """The rank whose error tells most, since the others follow from one of them, and the error in a line."""
    causes = {rank: getattr(one, "cause", None) or one.__cause__ or one for rank, one in sorted(failures.items())}
    rank, cause = min(causes.items(), key=lambda item: _place(item[1]))
    if isinstance(cause, WaveMixError):
        return rank, str(cause)
    last_line = (str(cause).strip().splitlines() or [""])[-1]
    detail = last_line.split("Worker exit detail: ")[-1].split(" Some common causes")[0]
    return rank, f"{type(cause).__name__}: {shorten(detail, 200)}"


def _place(cause: BaseException) -> int:
    """Of an error among those that came at once: our own, then a process that ended, then what others met by that."""
    if isinstance(cause, WaveMixError):
        return 0
    return 1 if type(cause).__name__ == "WorkerHealthCheckFailedError" else 2
