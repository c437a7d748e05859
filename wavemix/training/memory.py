"""What a training step needs of memory: its peak, and the largest batch that 16 GB hold. It knows no score and no file.

On a CPU it is resident memory: all that the process has in RAM, with what malloc and the libraries keep for later. On a
GPU it is what torch's allocator has handed out. The two are not the same thing, and never share a name. Both functions
are for a process that has done next to nothing yet: memory that was used before, and lies free, would be used again.
"""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import torch

from wavemix.tasks.base import Batch, Task
from wavemix.training.rehearsal import training_step

STATUS = Path("/proc/self/status")
ROOM = 16 * 2**30
"""Bytes of the GPUs in the papers' table 6: "max batch size for 16 GB"."""


@dataclass(frozen=True)
class PeakMemory:
    """Of a training step with a batch of so many: weights, gradients, AdamW's averages and all that is kept between."""

    kind: Literal["device", "resident"]
    bytes: int
    batch: int


@dataclass(frozen=True)
class LargestBatch:
    """Whose training step fits 16 GB: tried on a GPU; on a CPU, on the straight line through two measured batches."""

    value: int
    how: Literal["measured", "estimated"]


def memory_on_cpu(task: Task, sample: Batch, size: int, larger: int) -> tuple[PeakMemory | None, LargestBatch | None]:
    """By how much this process grows at most with a batch of ``size``, and, for the line, with a larger one.

    Only Linux tells it; elsewhere both are None. The estimate is None too where the larger batch took no more.
    """
    if not STATUS.is_file():
        return None, None
    sizes, peaks = (size, larger), []
    before = psutil.Process().memory_info().rss
    for number in sizes:  # in this order, for a high-water mark never falls
        two_steps(task, sample, number, torch.device("cpu"))
        peaks.append(_peak_resident() - before)
    value = on_line(sizes, peaks, ROOM)
    return PeakMemory("resident", peaks[0], size), None if value is None else LargestBatch(value, "estimated")


def memory_on_gpu(task: Task, sample: Batch, size: int) -> tuple[PeakMemory, LargestBatch | None]:
    """The allocator's high-water mark with a batch of ``size``, and the largest batch when it may have 16 GiB.

    The largest batch is None on a GPU that has less.
    """
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    two_steps(task, sample, size, torch.device("cuda"))
    peak = PeakMemory("device", torch.cuda.max_memory_allocated() - before, size)
    share = ROOM / torch.cuda.get_device_properties(0).total_memory
    if share > 1:
        return peak, None
    torch.cuda.set_per_process_memory_fraction(share)
    value = largest_that(lambda number: fits_on_gpu(task, sample, number), first=size)
    torch.cuda.set_per_process_memory_fraction(1.0)
    return peak, LargestBatch(value, "measured")


def fits_on_gpu(task: Task, sample: Batch, size: int) -> bool:
    """Whether training steps with a batch of ``size`` find the memory that they ask for."""
    try:
        two_steps(task, sample, size, torch.device("cuda"))
    except torch.cuda.OutOfMemoryError:
        return False
    finally:
        gc.collect()
        torch.cuda.empty_cache()  # so that the next batch does not fail for the pieces that this one left
    return True


def largest_that(fits: Callable[[int], bool], *, first: int) -> int:
    """The largest number that fits, where all smaller ones fit too; 0 if none does. ``first`` is tried first."""
    low, high = 0, first
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def on_line(sizes: Sequence[int], peaks: Sequence[int], room: int) -> int | None:
    """The batch whose peak is ``room``, on the line through two points; None where it does not rise."""
    per_sample = (peaks[1] - peaks[0]) / (sizes[1] - sizes[0])
    if per_sample <= 0:
        return None
    return max(0, int(sizes[0] + (room - peaks[0]) / per_sample))


def two_steps(task: Task, sample: Batch, size: int, device: torch.device) -> None:
    """The second step is the first that has the optimizer's averages beside it."""
    step = training_step(task, sample, size, device)
    step()
    step()


def _peak_resident() -> int:
    """Not ``ru_maxrss``: a process inherits that from the one that started it."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
