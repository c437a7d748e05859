"""What a network costs beside what it scores: its size, its work, its speed and its memory, as ``cost.json``.

All of it is measured with the first sample of ``train``, at the size that the network is trained on. It knows no score
and no recipe, and of the task its protocol alone.
"""

import json
import logging
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor, nn

from wavemix.data import Manifest
from wavemix.errors import TrainingError
from wavemix.files import write_aside
from wavemix.models.count import count_parameters, multiply_adds
from wavemix.models.fuse import layer_by_layer
from wavemix.tasks.base import Batch, Task
from wavemix.training.memory import LargestBatch, PeakMemory, fits_on_gpu, memory_on_cpu, memory_on_gpu
from wavemix.training.rehearsal import first_sample, repeated, training_step

BATCH = 64
"""The papers' tables 9 and 10 measure with it."""
MOST_WORK = 1e11
"""Multiply-adds of a training step on a CPU, a second or two of two cores: the batch is halved until it has no more."""
SECONDS = 0.5
"""Of inference, and of training, after the warm-up."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MultiplyAdds:
    """Of one input: of the layers as the papers write them, and as they are executed here (`wavemix.models.count`)."""

    written: int
    executed: int


@dataclass(frozen=True)
class Cost:
    """The columns of the papers' tables 1, 6, 9 and 10; rates are inputs a second."""

    device: str
    threads: int
    input: Mapping[str, tuple[int, ...]]  # the shapes of one sample's fields; plain numbers are left out
    num_parameters: int
    multiply_adds: MultiplyAdds
    batch: int  # of both rates and of the peak: 64, or the largest power of two that this machine can do
    inference_per_second: float
    training_per_second: float
    peak_memory: PeakMemory | None
    largest_batch_16gb: LargestBatch | None


def measure_cost(task: Task, manifest: Manifest, target: Path) -> Cost:
    """Measure on this machine, on its GPU if it has one, and write ``cost.json``.

    It happens in a process of its own, where nothing was allocated before. Rates are of whole batches: the median over
    half a second or so, after a warm-up. Inference is ``task.predict`` in evaluation mode; a training step is forward,
    loss, backward and AdamW. Both are eager and in float32, whatever the recipe.

    Args:
        task: Its network is built anew: no cost depends on what the weights are.
        manifest: Of the data that it is trained on.
        target: The folder of the file.

    Raises:
        TrainingError: The process was killed.
    """
    sample = first_sample(task, manifest)
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            cost = alone.submit(cost_of, task, sample, torch.get_num_threads()).result()
    except BrokenProcessPool:
        raise TrainingError(
            f"{target / 'cost.json'}: not written, for the process that measured training steps was killed "
            "(out of memory?)"
        ) from None
    write_aside(target / "cost.json", (json.dumps(asdict(cost), indent=1) + "\n").encode())
    return cost


def cost_of(task: Task, sample: Batch, num_threads: int) -> Cost:
    """Measure with any batch of one, in this process."""
    torch.set_num_threads(num_threads)
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    model = task.build_model().to(device).eval()
    work = work_of(task, model, repeated(sample, 1, device))
    size = _fitting_on_gpu(task, sample) if on_gpu else affordable(work.executed)
    if size < BATCH:
        log.warning("the cost is measured with a batch of %d: more is too much for this machine", size)
    peak: PeakMemory | None
    if on_gpu:
        peak, largest = memory_on_gpu(task, sample, size)
    else:
        larger = affordable(work.executed, most=16 * BATCH, limit=MOST_WORK / 10)
        peak, largest = memory_on_cpu(task, sample, size, max(2 * size, larger))
    return Cost(
        device=torch.cuda.get_device_name() if on_gpu else _cpu_name(),
        threads=num_threads,
        input={name: tuple(tensor.shape[1:]) for name, tensor in sample.items() if tensor.dim() > 1},
        num_parameters=count_parameters(model),
        multiply_adds=work,
        batch=size,
        inference_per_second=size / _median_seconds(partial(_answer, task, model, repeated(sample, size, device))),
        training_per_second=size / _median_seconds(training_step(task, sample, size, device)),
        peak_memory=peak,
        largest_batch_16gb=largest,
    )


def work_of(task: Task, model: nn.Module, batch: Batch) -> MultiplyAdds:
    """Of the network, for a whole batch; what the task does before and after it is not counted."""
    calls: list[list[tuple[int, ...]]] = []  # a task may call it on what it likes, and more than once
    with model.register_forward_pre_hook(lambda _, inputs: calls.append([tuple(x.shape) for x in inputs])):
        _answer(task, model, batch)
    return MultiplyAdds(
        written=sum(multiply_adds(layer_by_layer(model), *shapes) for shapes in calls),
        executed=sum(multiply_adds(model, *shapes) for shapes in calls),
    )


def affordable(work: int, *, most: int = BATCH, limit: float = MOST_WORK) -> int:
    """The largest half, quarter, ... of ``most`` whose training step, three times an answer, is within the limit."""
    size = most
    while size > 1 and 3 * size * work > limit:
        size //= 2
    return size


def _fitting_on_gpu(task: Task, sample: Batch) -> int:
    size = BATCH
    while size > 1 and not fits_on_gpu(task, sample, size):
        size //= 2
    return size


def _answer(task: Task, model: nn.Module, batch: Batch) -> Tensor:
    with torch.inference_mode():
        return task.predict(model, batch)


def _median_seconds(call: Callable[[], object]) -> float:
    """Over as many calls as take `SECONDS`, and at least one; two before are not timed."""
    taken: list[float] = []
    call()
    call()
    _wait()
    while sum(taken) < SECONDS:
        start = time.perf_counter()
        call()
        _wait()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _wait() -> None:
    """For the GPU, which is still at work when a call returns."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "cpu"
