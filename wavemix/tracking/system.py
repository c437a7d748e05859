"""What a node is doing while it trains: a thread that samples it into a file of its own, energy included.

It knows no run, no metric of training and no MLflow; the keys are those that MLflow's system page understands. What is
sampled is the whole node, whoever else works on it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from wavemix.tracking.energy import Meters, energy_between, read_processors
from wavemix.tracking.gpu import MEGABYTE, read_gpu, visible_gpus
from wavemix.tracking.jsonl import JsonLines, read_rows

log = logging.getLogger(__name__)


@contextmanager
def sampled_system(
    folder: Path,
    node: str,
    *,
    every_seconds: float,
    cpu_watts: float | None = None,
    gpus: bool = True,
    may_write: Callable[[], bool] = lambda: True,
) -> Iterator[None]:
    """Append a row to ``<folder>/system-<node>.jsonl`` every so often, and one at the end, while the block runs.

    Trouble is told once, and harms nothing.

    Args:
        folder: Of the run.
        node: Its name in the keys.
        every_seconds: Between two rows.
        cpu_watts: What the node's processors draw at full load; for an estimate where they have no meter.
        gpus: Whether it trains on those that it may use.
        may_write: Asked before each row; once it says no, another process writes the file.
    """
    stop = threading.Event()

    def start() -> _Sampler:
        return _Sampler(folder / f"system-{node}.jsonl", node, cpu_watts, gpus)

    told = (start, every_seconds, stop, may_write)
    thread = threading.Thread(target=_sample, args=told, name="system-sampler", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)  # a GPU that fell off the bus may never answer


def _sample(
    start: Callable[[], "_Sampler"], every_seconds: float, stop: threading.Event, may_write: Callable[[], bool]
) -> None:
    told, ending = False, False
    sampler: _Sampler | None = None
    while True:
        try:
            if not may_write():
                return
            if sampler is None:
                sampler = start()
            else:
                sampler.write()
        except Exception as error:  # whatever a file system, a kernel or a driver may raise
            if not told:
                log.warning("no numbers of what this node is doing: %s: %s", type(error).__name__, error)
            told = True
        if ending:
            return
        ending = stop.wait(every_seconds)


class _Sampler:
    def __init__(self, path: Path, node: str, cpu_watts: float | None, gpus: bool) -> None:
        self._step = max((row["step"] for row in read_rows(path)), default=0)  # a restarted node goes on counting
        self._lines = JsonLines(path, last_step=self._step)
        self._node, self._cpu_watts = node, cpu_watts
        self._gpus = visible_gpus() if gpus else []
        self._meters, self._megabytes = self._read_meters(), _read_megabytes()
        psutil.cpu_percent()  # the first call has nothing to compare with

    def write(self) -> None:
        """Add a row of what has been since the last one."""
        meters, megabytes = self._read_meters(), _read_megabytes()
        memory, busy = psutil.virtual_memory(), psutil.cpu_percent()
        values = {
            "cpu_utilization_percentage": busy,
            "system_memory_usage_megabytes": memory.used / MEGABYTE,
            "system_memory_usage_percentage": memory.percent,
            "process_memory_usage_megabytes": psutil.Process().memory_info().rss / MEGABYTE,
            **{name: value - self._megabytes[name] for name, value in megabytes.items()},
            **energy_between(self._meters, meters, busy_percentage=busy, cpu_watts=self._cpu_watts),
        }
        for number, gpu in enumerate(meters.gpus):
            values.update({f"gpu_{number}_{name}": value for name, value in gpu.items() if name != "joules"})
        row = {
            "step": self._step + 1,
            "time": time.time(),
            "seconds": round(meters.time - self._meters.time, 3),
            "cpus": psutil.cpu_count(),
            "gpus": len(self._gpus),
            **{f"system/{self._node}/{name}": round(value, 3) for name, value in values.items()},
        }
        self._lines.write(row)
        self._step, self._meters, self._megabytes = self._step + 1, meters, megabytes

    def _read_meters(self) -> Meters:
        return Meters(time.monotonic(), read_processors(), [read_gpu(gpu) for gpu in self._gpus])


def _read_megabytes() -> dict[str, float]:
    """What only grows, since the node started; what a node sends to itself is no network."""
    disk = psutil.disk_io_counters()
    nics = [counters for name, counters in psutil.net_io_counters(pernic=True).items() if not name.startswith("lo")]
    return {
        "network_receive_megabytes": sum(nic.bytes_recv for nic in nics) / MEGABYTE,
        "network_transmit_megabytes": sum(nic.bytes_sent for nic in nics) / MEGABYTE,
        "disk_read_megabytes": disk.read_bytes / MEGABYTE if disk else 0.0,
        "disk_write_megabytes": disk.write_bytes / MEGABYTE if disk else 0.0,
    }
