"""What is told of workers that failed: the error that tells most, in a line. Ray's own errors, and no Ray that runs."""

from pathlib import Path

import pytest

from wavemix.config import Launch
from wavemix.errors import OutOfMemoryError, TrainingError, WaveMixError, WorkersError
from wavemix.tracking import FAULTS, read_rows

pytestmark = pytest.mark.filterwarnings("default")  # what Ray warns of in this process is its own

LOST_PEER = RuntimeError("[pair.cc:537] Read error [127.0.0.1]:61609: Connection reset by peer.")
KILLED = "The actor died.\n\tpid: 7\nWorker exit detail: It ended with code 2. Some common causes include: (1) memory."


def of_dead_worker() -> Exception:
    from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError  # noqa: PLC0415

    return WorkerHealthCheckFailedError("A worker health check failed.", RuntimeError(KILLED))


def explained(error: Exception) -> WaveMixError:
    from wavemix.launch.ray_failures import explained  # noqa: PLC0415

    return explained(error, Launch(launcher="ray", max_failures=3, num_workers=4), {"CPU": 1.0, "GPU": 0.5})


def test_the_worker_that_died_is_noted_and_not_those_that_lost_it(tmp_path: Path) -> None:
    from wavemix.launch.ray_failures import Failures  # noqa: PLC0415

    noting = Failures(tmp_path, tmp_path / "own-error")
    noting.after_exception(None, {0: LOST_PEER, 1: of_dead_worker()})
    noting.after_exception(None, {0: LOST_PEER})
    noting.after_exception(None, {0: of_dead_worker(), 1: OutOfMemoryError("rank 1 ran out of memory")})
    (tmp_path / "own-error").touch()  # the driver tells of that one
    noting.after_exception(None, {0: LOST_PEER})
    rows = list(read_rows(tmp_path / FAULTS))
    assert [(row["rank"], row["kind"], row["text"]) for row in rows] == [
        (1, "failed", "worker 1 failed: WorkerHealthCheckFailedError: It ended with code 2."),
        (0, "failed", f"worker 0 failed: RuntimeError: {LOST_PEER}"),
        (1, "failed", "worker 1 failed: rank 1 ran out of memory"),
    ]


def test_what_ray_raises_in_the_end_is_told_in_a_line() -> None:
    from ray.train import ControllerError, WorkerGroupError  # noqa: PLC0415
    from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError  # noqa: PLC0415

    failed = explained(WorkerGroupError("many\nlines", {2: LOST_PEER, 3: of_dead_worker()}))
    assert isinstance(failed, WorkersError)
    assert str(failed) == (
        "worker 3 failed, and so did 3 restarts (launch.max_failures): "
        "WorkerHealthCheckFailedError: It ended with code 2."
    )
    no_room = explained(ControllerError(WorkerGroupStartupTimeoutError(4)))
    assert isinstance(no_room, WorkersError)
    assert str(no_room).startswith("the cluster has no room for 4 workers of 1 CPU, 0.5 GPU each")
    other = explained(ControllerError(ValueError("something\nelse")))
    assert type(other) is TrainingError
    assert str(other) == "Ray Train gave up: ValueError: something else"
