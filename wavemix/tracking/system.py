"""What a node is doing while it trains: a thread that samples processor, memory, disk and network into its own file.

It knows no run, no metric of training and no MLflow; the keys are those that MLflow's system page understands.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from wavemix.tracking.jsonl import JsonLines, read_rows

MEGABYTE = 1e6


@contextmanager
def sampled_system(folder: Path, node: str, *, every_seconds: float) -> Iterator[None]:
    """Append a row to ``<folder>/system-<node>.jsonl`` every so often, and one at the end, while the block runs."""
    path = folder / f"system-{node}.jsonl"
    done = max((row["step"] for row in read_rows(path)), default=0)  # a restarted node goes on counting
    lines = JsonLines(path, last_step=done)
    stop = threading.Event()

    def sample() -> None:
        step = done
        before = _counters()
        psutil.cpu_percent()  # the first call has nothing to compare with
        while not stop.wait(every_seconds):
            step += 1
            before = _write(lines, node, step, before)
        _write(lines, node, step + 1, before)

    thread = threading.Thread(target=sample, name="system-sampler", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _write(lines: JsonLines, node: str, step: int, before: dict[str, float]) -> dict[str, float]:
    memory, now = psutil.virtual_memory(), _counters()
    values = {
        "cpu_utilization_percentage": psutil.cpu_percent(),
        "system_memory_usage_megabytes": memory.used / MEGABYTE,
        "system_memory_usage_percentage": memory.percent,
        "process_memory_usage_megabytes": psutil.Process().memory_info().rss / MEGABYTE,
        **{name: value - before[name] for name, value in now.items()},
    }
    row = {f"system/{node}/{name}": round(value, 3) for name, value in values.items()}
    lines.write({"step": step, "time": time.time(), **row})
    return now


def _counters() -> dict[str, float]:
    """What only grows: megabytes since the node started; a row holds the difference to the row before it."""
    network, disk = psutil.net_io_counters(), psutil.disk_io_counters()
    return {
        "network_receive_megabytes": network.bytes_recv / MEGABYTE if network else 0.0,
        "network_transmit_megabytes": network.bytes_sent / MEGABYTE if network else 0.0,
        "disk_read_megabytes": disk.read_bytes / MEGABYTE if disk else 0.0,
        "disk_write_megabytes": disk.write_bytes / MEGABYTE if disk else 0.0,
    }
