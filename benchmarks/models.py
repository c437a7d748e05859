"""Whole networks beside the authors' package, wavemix 0.2.4: time and memory of a training step, time of inference.

Both sides have the same weights, and their equality is checked before any clock starts: results in evaluation, results
and gradients in training. Then they take turns, and a matrix product with them, as the measure of what the machine
could do. README.md beside this file says how a row is read.
"""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._authors import HOW_TO_GET, load_authors
from benchmarks._harness import Row, compared, interleaved, publish
from benchmarks._memory import check_peak_bytes, in_child, peak_bytes
from benchmarks._networks import NETWORKS, make_inputs
from benchmarks._progress import Progress
from benchmarks._running import (
    DEVICE,
    MATMUL,
    WARM_UP,
    evaluated,
    matrix_product,
    on_clock,
    on_device,
    share,
    training_step,
)
from benchmarks._timm import create_timm
from wavemix.models import load_published
from wavemix.models.count import count_parameters, multiply_adds
from wavemix.models.fuse import fuse_for_inference

NUM_THREADS = 2
MEMORY_GOAL = 1 / 0.75
# On a GPU theirs runs as published, float32 and eager; ours in bfloat16, channels last, compiled.
GPU_STEP_GOAL = 4.0
GPU_MEMORY_GOAL = 2.0
MAX_ERROR = 1e-4  # of the largest value
# Classifiers, and what one would take instead of them.
OUR_CLASSIFIERS = {"WaveMix-Lite-128/8": "lite", "WaveMix-192/16 level 3": "level3"}
PEERS_TITLE = "beside networks of timm, 8 x 224x224"
PEERS = ("resnet50", "convmixer_1024_20_ks9_p14", "vit_small_patch16_224")


def main() -> None:
    """Measure, print and write ``results/models.json`` (``models_cuda.json`` on a GPU)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--authors",
        metavar="DIR",
        type=Path,
        default=os.environ.get("WAVEMIX_AUTHORS") or None,
        help="folder with the authors' wheel, packed or unpacked, or the wheel itself; default: $WAVEMIX_AUTHORS",
    )
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="turns of which a median is taken (5)")
    parser.add_argument(
        "--only",
        metavar="NAME",
        nargs="+",
        choices=[*NETWORKS, "peers"],
        help=f"a part, whose results are printed and not written: {', '.join([*NETWORKS, 'peers'])}",
    )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    names = options.only or [*NETWORKS, "peers"]
    location = None if options.authors is None else Path(options.authors)
    if location is None and any(name in NETWORKS for name in names):
        print(
            f"models: not measured, since the authors' package is not given.\n{HOW_TO_GET}"
        )  # and no error, so that `make bench` goes on
        return
    if location is not None:
        try:
            load_authors(location)
        except (FileNotFoundError, ModuleNotFoundError) as error:
            parser.error(f"--authors: {error}")

    # The profiler's messages of starting and stopping, in the processes that measure memory.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    torch.set_num_threads(NUM_THREADS)
    torch.manual_seed(0)
    progress = Progress(work_of_phases(names, options.rounds))
    rows: list[Row] = []
    notes = [f"medians of {options.rounds} rounds; {torch.get_num_threads()} threads"]
    if DEVICE == "cuda":
        notes.append("theirs: float32, eager; ours: bfloat16 autocast, channels last, compiled; matmul: bfloat16")
    for name in names:
        if name == "peers":
            more_rows, more_notes = peer_rows(options.rounds, progress)
            rows += more_rows
            notes += more_notes
        else:
            assert location is not None
            rows += network_rows(name, location, options.rounds, progress)
    progress.end()
    publish("models" if DEVICE == "cpu" else "models_cuda", rows, notes, save=options.only is None)


def network_rows(name: str, location: Path, rounds: int, progress: Progress) -> list[Row]:
    """All rows of one network."""
    network = NETWORKS[name]
    authors = load_authors(location)
    inputs = make_inputs(network.input_shapes, DEVICE)

    progress.phase(network.title, "same weights, same results?")
    theirs, ours = network.theirs(authors).to(DEVICE), network.ours().to(DEVICE)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        fused, their_work = checked_equal(theirs, ours, inputs)
    work = {
        "theirs": their_work,
        "ours": multiply_adds(ours, *network.input_shapes),
        "fused": multiply_adds(fused, *network.input_shapes),
    }

    progress.phase(network.title, "memory of a training step")
    peak = {side: in_child(training_peak, name, side, location) / 2**20 for side in ("theirs", "ours")}

    progress.phase(network.title, f"training step, {rounds} rounds")
    ours_here = on_device(ours)
    calls = {
        "theirs": lambda: training_step(theirs, inputs),
        "ours": lambda: training_step(ours_here, inputs, mixed=DEVICE == "cuda"),
    }
    theirs.train()
    ours.train()
    step = side_by_side(calls, rounds, progress)
    theirs.zero_grad()
    ours.zero_grad()

    progress.phase(network.title, f"inference, {rounds} rounds")
    fused_here = on_device(fused)
    calls = {
        "theirs": lambda: evaluated(theirs, inputs),
        "ours": lambda: evaluated(ours_here, inputs, mixed=DEVICE == "cuda"),
        "fused": lambda: evaluated(fused_here, inputs, mixed=DEVICE == "cuda"),
    }
    theirs.eval()
    ours.eval()
    inference = side_by_side(calls, rounds, progress)

    on_cpu = DEVICE == "cpu"
    step_goal = network.step_goal if on_cpu else GPU_STEP_GOAL
    inference_goal = network.inference_goal if on_cpu else None
    memory_goal = MEMORY_GOAL if on_cpu else GPU_MEMORY_GOAL
    return [
        timed_row(f"{network.title}: training step", step, work, "ours", step_goal, passes=3),
        timed_row(f"{network.title}: inference", inference, work, "ours", None),
        timed_row(f"{network.title}: inference, fused", inference, work, "fused", inference_goal),
        compared(f"{network.title}: training memory", peak["ours"], "MiB", peak["theirs"], goal=memory_goal),
    ]


def peer_rows(rounds: int, progress: Progress) -> tuple[list[Row], list[str]]:
    """Images a second of our classifiers and of timm's networks, all treated alike; a note if timm is missing."""
    try:
        models = {f"timm {name}": create_timm(name) for name in PEERS}
    except ImportError as error:
        progress.phase(PEERS_TITLE, "timm does not import")
        return [], [f"{', '.join(PEERS)}: not measured, since timm does not import ({error})"]
    models = {name: NETWORKS[key].ours() for name, key in OUR_CLASSIFIERS.items()} | models
    batch, *_ = shape = (8, 3, 224, 224)
    (x_bchw,) = make_inputs((shape,), DEVICE)
    work = {name: multiply_adds(model, shape) for name, model in models.items()}
    titles = {
        name: f"{name} ({count_parameters(model) / 1e6:.1f} M, {work[name] / batch / 1e9:.1f} G multiply-adds)"
        for name, model in models.items()
    }
    fused = {f"{name}, fused": fuse_for_inference(models[name].eval()).eval() for name in OUR_CLASSIFIERS}
    work |= {name: multiply_adds(model, shape) for name, model in fused.items()}
    titles |= {name: f"{name} ({work[name] / batch / 1e9:.1f} G multiply-adds)" for name in fused}
    models = {name: on_device(model.to(DEVICE, memory_format=torch.channels_last)) for name, model in models.items()}
    fused = {name: on_device(model.to(DEVICE)) for name, model in fused.items()}
    x_bchw = x_bchw.contiguous(memory_format=torch.channels_last)
    mixed = DEVICE == "cuda"

    progress.phase(PEERS_TITLE, f"training step, {rounds} rounds")
    for model in models.values():
        model.train()
    calls = {name: lambda model=model: training_step(model, (x_bchw,), mixed) for name, model in models.items()}
    step = side_by_side(calls, rounds, progress)

    progress.phase(PEERS_TITLE, f"inference, {rounds} rounds")
    for model in models.values():
        model.zero_grad()
        model.eval()
    calls = {name: lambda model=model: evaluated(model, (x_bchw,), mixed) for name, model in (models | fused).items()}
    inference = side_by_side(calls, rounds, progress)
    rows = [
        Row(
            f"{titles[name]}: {what}",
            batch / seconds[name],
            "images/s",
            share=share(passes * work[name], seconds[name], seconds),
        )
        for what, seconds, passes in (("training", step, 3), ("inference", inference, 1))
        for name in seconds
        if name != MATMUL
    ]
    return rows, [f"images a second: batches of {batch} of 224x224, 1000 classes; networks and images channels last"]


def training_peak(name: str, side: str, location: Path) -> int:
    """Peak bytes of a training step of one side; for a process of its own."""
    torch.set_num_threads(NUM_THREADS)
    torch.manual_seed(0)
    check_peak_bytes()
    network = NETWORKS[name]
    inputs = make_inputs(network.input_shapes, DEVICE)
    if side == "theirs":
        model, mixed = network.theirs(load_authors(location)).to(DEVICE), False
    else:
        model, mixed = on_device(network.ours().to(DEVICE)), DEVICE == "cuda"
    model.train()
    for _ in range(WARM_UP):
        training_step(model, inputs, mixed)
    model.zero_grad()
    return peak_bytes(lambda: training_step(model, inputs, mixed))


def checked_equal(theirs: nn.Module, ours: nn.Module, inputs: Sequence[Tensor]) -> tuple[nn.Module, int]:
    """Give ours the weights of theirs, fuse a copy, and compare training (without dropout) and evaluation.

    Returns:
        Ours for inference, and the multiply-adds of a forward pass of theirs, layer by layer as it executes them.

    Raises:
        AssertionError: If they differ by more than rounding.
    """
    theirs.train()
    with torch.no_grad():
        theirs(*inputs)  # so that the running statistics are not those of a new network
    load_published(ours, theirs.state_dict())
    outputs, gradient_norms = zip(*(without_dropout(model, inputs) for model in (ours, theirs)), strict=True)
    checked_close("training", *outputs)
    checked_close("gradients", *gradient_norms)

    fused = fuse_for_inference(ours.eval())
    theirs.eval()
    with FlopCounterMode(display=False) as counter:
        expected = evaluated(theirs, inputs)
    checked_close("inference", evaluated(ours, inputs), expected)
    checked_close("fused inference", evaluated(fused, inputs), expected)
    return fused, counter.get_total_flops() // 2  # it counts a multiplication and an addition as two


def without_dropout(model: nn.Module, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Output and norm of all gradients of a training step whose dropout layers drop nothing."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    output = training_step(model, inputs).detach()
    norms = [parameter.grad.norm() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad()
    return output, torch.stack(norms).norm()


def checked_close(what: str, ours: Tensor, theirs: Tensor) -> None:
    """Raise if any value differs by more than rounding."""
    error = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    assert error <= MAX_ERROR, f"{what}: ours and theirs differ by {error:.1e} of the largest value"


def side_by_side(calls: Mapping[str, Callable[[], object]], rounds: int, progress: Progress) -> dict[str, float]:
    """Medians of the calls and of a matrix product, in seconds."""
    return interleaved(
        on_clock({**calls, MATMUL: matrix_product()}),
        rounds,
        warm_up=WARM_UP,
        on_round=lambda done: progress.part((done + WARM_UP) / (rounds + WARM_UP)),
    )


def timed_row(
    name: str,
    medians: Mapping[str, float],
    work: Mapping[str, int],
    side: str,
    goal: float | None,
    passes: int = 1,
) -> Row:
    """The row of two medians; a training step counts as three forward passes."""
    return compared(
        name,
        1e3 * medians[side],
        "ms",
        1e3 * medians["theirs"],
        goal=goal,
        share=share(passes * work[side], medians[side], medians),
        baseline_share=share(passes * work["theirs"], medians["theirs"], medians),
    )


def work_of_phases(names: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """How much each phase of each part computes, by title: about, and in multiply-adds."""
    with torch.device("meta"):
        forward = {name: multiply_adds(network.ours(), *network.input_shapes) for name, network in NETWORKS.items()}
    calls = rounds + WARM_UP
    work = {
        NETWORKS[name].title: [count * forward[name] for count in (10, 16, 6 * calls, 3 * calls)] for name in NETWORKS
    }
    ours = sum(forward[key] for key in OUR_CLASSIFIERS.values())  # and about as much of the others
    work[PEERS_TITLE] = [6.0 * calls * ours, 3.0 * calls * ours]
    titles = [PEERS_TITLE if name == "peers" else NETWORKS[name].title for name in names]
    return {title: work[title] for title in titles}


if __name__ == "__main__":
    main()
