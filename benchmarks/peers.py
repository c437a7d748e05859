"""Ours beside their peers, all measured alike in one run: the columns of the paper's tables 1, 6, 9 and 10.

Parameters, multiply-adds of one input, memory of a training step, images a second of training and of inference; all
with random weights. On a CPU in float32 and with smaller batches than the papers' 64, on a GPU in bfloat16 autocast and
compiled; networks and images are channels last. A training step is forward, mean of squares and backward, without an
optimizer; its memory is the peak of torch's allocator on top of the weights (``_memory.py``). The baseline is one peer
of each table, and a ratio how many times better a network is.
"""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import torch
from torch import nn

from benchmarks._harness import Row, compared, interleaved, publish
from benchmarks._memory import check_peak_bytes, in_child, peak_bytes
from benchmarks._networks import make_inputs
from benchmarks._peers import COMPARISONS, Comparison, declare_operators, missing_libraries
from benchmarks._progress import Progress
from benchmarks._running import DEVICE, WARM_UP, evaluated, on_clock, on_device, training_step
from wavemix.models.count import count_parameters, multiply_adds

NUM_THREADS = 2
MIXED = DEVICE == "cuda"
HOW_TO_GET = """\
pip install --target DIR --no-deps timm transformers torchvision==0.28.* (which belongs to torch 2.13)
pip install --target DIR huggingface_hub tokenizers regex typer tqdm
PYTHONPATH=DIR python -m benchmarks.peers"""
COLUMNS = MappingProxyType(  # unit, and whether more is better
    {
        "parameters": ("M", False),
        "multiply-adds": ("G", False),
        "training memory": ("MiB", False),
        "training": ("images/s", True),
        "inference": ("images/s", True),
    }
)


def main() -> None:
    """Measure, print and write ``results/peers.json`` (``peers_cuda.json`` on a GPU)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="turns of which a median is taken (5)")
    parser.add_argument(
        "--only",
        metavar="NAME",
        nargs="+",
        choices=COMPARISONS,
        help=f"a part, whose results are printed and not written: {', '.join(COMPARISONS)}",
    )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's messages, in the processes that measure memory
    torch.set_num_threads(NUM_THREADS)
    torch.manual_seed(0)

    missing = missing_libraries()
    notes = [f"{library}: its rows are left out, since it does not import ({why})" for library, why in missing.items()]
    for note in notes:
        print(note)
    if missing:
        print(HOW_TO_GET)
    names = [name for name in options.only or COMPARISONS if DEVICE == "cuda" or name != "cityscapes"]
    if DEVICE == "cpu":
        notes.append(f"{COMPARISONS['cityscapes'].title}: measured on a GPU only")
    notes.append(f"medians of {options.rounds} rounds; {NUM_THREADS} threads")
    work = {COMPARISONS[name].title: work_of_phases(COMPARISONS[name], missing, options.rounds) for name in names}
    progress = Progress(work)
    rows: list[Row] = []
    for name in names:
        rows += rows_of(name, missing, options.rounds, progress)
        notes.append(f"{COMPARISONS[name].title}: batches of {batch_of(COMPARISONS[name])}")
    progress.end()
    publish("peers" if DEVICE == "cpu" else "peers_cuda", rows, notes, save=options.only is None)


def rows_of(name: str, missing: Mapping[str, str], rounds: int, progress: Progress) -> list[Row]:
    """All columns of one comparison, a row for each network."""
    comparison = COMPARISONS[name]
    batch = batch_of(comparison)
    models = {network: make() for network, make in comparison.networks(missing)}
    found = {
        "parameters": {network: count_parameters(model) / 1e6 for network, model in models.items()},
        "multiply-adds": {
            network: multiply_adds(model, (1, *comparison.input_shape)) / 1e9 for network, model in models.items()
        },
        "training memory": {},
    }
    progress.phase(comparison.title, f"memory of a training step, {len(models)} networks")
    for done, network in enumerate(models, start=1):
        found["training memory"][network] = in_child(training_peak, name, network) / 2**20
        progress.part(done / len(models))

    (x_bchw,) = make_inputs(((batch, *comparison.input_shape),), DEVICE)
    x_bchw = x_bchw.contiguous(memory_format=torch.channels_last)
    models = {network: prepared(model) for network, model in models.items()}
    for column, call in (("training", training_step), ("inference", evaluated)):
        progress.phase(comparison.title, f"{column}, {rounds} rounds")
        for model in models.values():
            model.train(column == "training")
        calls = {network: partial(call, model, (x_bchw,), MIXED) for network, model in models.items()}
        seconds = timed(calls, rounds, progress)
        found[column] = {network: batch / seconds[network] for network in models}
        for model in models.values():
            model.zero_grad()
    return [row for column, values in found.items() for row in column_rows(comparison, column, values)]


def column_rows(comparison: Comparison, column: str, values: Mapping[str, float]) -> list[Row]:
    """One column, beside its baseline where that was measured."""
    unit, more_is_better = COLUMNS[column]
    title = f"{comparison.title}: {column}: "
    if comparison.baseline not in values:
        return [Row(title + network, value, unit) for network, value in values.items()]
    baseline = values[comparison.baseline]
    return [
        compared(title + network, value, unit, baseline, more_is_better=more_is_better)
        if network != comparison.baseline
        else Row(title + network, value, unit)
        for network, value in values.items()
    ]


def training_peak(name: str, network: str) -> int:
    """Peak bytes of a training step of one network; for a process of its own."""
    torch.set_num_threads(NUM_THREADS)
    check_peak_bytes()
    declare_operators()
    comparison = COMPARISONS[name]
    model = prepared(dict(comparison.networks(missing={}))[network]()).train()
    (x_bchw,) = make_inputs(((batch_of(comparison), *comparison.input_shape),), DEVICE)
    x_bchw = x_bchw.contiguous(memory_format=torch.channels_last)
    for _ in range(WARM_UP):
        training_step(model, (x_bchw,), MIXED)
    model.zero_grad()
    return peak_bytes(lambda: training_step(model, (x_bchw,), MIXED))


def prepared(model: nn.Module) -> nn.Module:
    """As every network is run, ours and theirs."""
    return on_device(model.to(DEVICE, memory_format=torch.channels_last))


def timed(calls: Mapping[str, Callable[[], object]], rounds: int, progress: Progress) -> dict[str, float]:
    """Medians of the calls, in seconds; they take turns."""
    return interleaved(
        on_clock(calls),
        rounds,
        warm_up=WARM_UP,
        on_round=lambda done: progress.part((done + WARM_UP) / (rounds + WARM_UP)),
    )


def batch_of(comparison: Comparison) -> int:
    return comparison.cpu_batch if DEVICE == "cpu" else comparison.gpu_batch


def work_of_phases(comparison: Comparison, missing: Mapping[str, str], rounds: int) -> Sequence[float]:
    """About how much each phase computes: memory, training, inference."""
    with torch.device("meta"):
        models = [make() for _, make in comparison.networks(missing)]
    forward = batch_of(comparison) * sum(multiply_adds(model, (1, *comparison.input_shape)) for model in models)
    calls = rounds + WARM_UP
    start = len(models) * 5e11  # of a process: about as long as so many multiply-adds
    return [start + 3 * (WARM_UP + 2) * forward, 3 * calls * forward, calls * forward]


if __name__ == "__main__":
    main()
