"""One run, from its folder's last checkpoint (or a fresh model) to its last step. It knows no launcher and no config
file: whoever started this process hands it a ``Runtime``.

Where weights come from, in this order: the run's own last checkpoint, else those that it was given to start from, else
(and where these leave out the head) a fresh model drawn from the seed.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.amp import GradScaler
from torch.nn.parallel import DistributedDataParallel

from wavemix.config import Recipe
from wavemix.data import Deal, LoaderState, Manifest
from wavemix.data.loader import eval_batches, train_batches
from wavemix.distributed import from_first_rank, in_group, rank, world_size
from wavemix.errors import OutOfMemoryError
from wavemix.tasks.base import Task
from wavemix.tracking import JsonLines, note_fault
from wavemix.training.average import start_average
from wavemix.training.batch_norm import synchronised
from wavemix.training.checkpoint import load_checkpoint, newest_checkpoint, read_meta, save_checkpoint
from wavemix.training.clock import Clock
from wavemix.training.copies import Copies, fetch_newest
from wavemix.training.fence import Fence
from wavemix.training.loop import Report, Surroundings, fit
from wavemix.training.meter import Meter
from wavemix.training.optim import build_optimizer
from wavemix.training.requests import Request, Requests
from wavemix.training.state import TrainState
from wavemix.training.watchdog import watchdog
from wavemix.training.weights import load_start

NO_MEMORY = ("out of memory", "allocate memory", "bad_alloc")
"""What the errors of CUDA's and the CPU's allocator say."""


GRACE_SECONDS, PATIENCE_SECONDS = 20.0, 600.0
"""For copies that are under way: where the process is about to be ended, and where it is done."""


@dataclass(frozen=True)
class Runtime:
    """What a launcher gives to each process; ranks come from the process group (``wavemix.distributed``).

    ``asked`` says what this process was asked for, and is called at the same steps on every rank.
    """

    device: torch.device
    report: Report
    asked: Callable[[], Request] = lambda: Request.NOTHING
    save_every_seconds: float | None = None  # beside the checkpoint of each evaluation
    keep_checkpoints: int = 2
    hang_seconds: float = math.inf  # without a sign of life, until this process ends itself
    remote: str | None = None  # a second place for checkpoints


def train(
    task: Task,
    recipe: Recipe,
    manifest: Manifest,
    run_dir: Path,
    *,
    seed: int,
    runtime: Runtime,
    start: Path | None = None,
    resume_from: Path | None = None,
    fence: Fence | None = None,
    loader_workers: int = 0,
) -> None:
    """Train, or go on training, in ``run_dir``: ``checkpoints/`` and ``metrics.jsonl`` are there afterwards, and
    ``faults.jsonl`` if anything went wrong. It returns early where it is asked to stop.

    Every rank calls it; ``run_dir`` must be the same folder for all of them, as must be ``start``, a safetensors file
    with weights to start from, and ``resume_from``, another run's checkpoint to go on from by this recipe. ``fence``:
    made by whoever else writes to the folder (None: nobody does).
    """
    clock, device, checkpoints = Clock(), runtime.device, run_dir / "checkpoints"

    def tell(kind: str, text: str) -> None:
        note_fault(run_dir, kind, text, rank=rank())

    fence = fence or Fence(run_dir)
    copies = Copies(runtime.remote) if runtime.remote and rank() == 0 else None
    stacks = run_dir / f"stacks-rank-{rank()}.txt"
    own = _newest(checkpoints, runtime.remote)  # may have to be fetched, for longer than a hang
    with _waited_for(copies), watchdog(clock, runtime.hang_seconds, stacks, partial(tell, "hang")):
        deal = Deal(manifest.num_samples("train"), recipe.global_batch, rank(), world_size(), recipe.tail)
        state, meta = _build_state(task, recipe, own or resume_from, start, seed, device, clock)
        if meta:
            step = deal.step_of(LoaderState(**meta["loader"]), seed=seed, manifest_sha256=manifest.sha256)
            assert step == state.step, f"{own or resume_from}: weights of step {state.step}, loader at step {step}"
        if own is None:
            state.best = None  # another run's best checkpoint is none of this one's
        elif rank() == 0:
            tell("continued", f"goes on after step {state.step}")
        metrics = JsonLines(run_dir / "metrics.jsonl", last_step=state.step) if rank() == 0 else None
        meter = Meter(clock, meta.get("meter", {}))
        requests = Requests(runtime.asked, runtime.save_every_seconds, device)

        def log(step: int, numbers: Mapping[str, float]) -> None:
            if metrics:
                fence.check()
                metrics.write({"step": step, "time": time.time(), **numbers})

        def save(state: TrainState, regular: bool) -> Path | None:
            with clock.on("checkpoint"):
                requests.saved()
                counts = meter.kept()
                if rank() != 0:
                    return None
                folder = save_checkpoint(
                    state,
                    checkpoints,
                    loader=asdict(deal.state(state.step, seed=seed, manifest_sha256=manifest.sha256)),
                    meter=counts,
                    regular=regular,
                    keep=runtime.keep_checkpoints,
                    check=fence.check,
                )
                if copies:
                    copies.copy(checkpoints)
                return folder

        batches = train_batches(
            manifest,
            partial(task.decode, exact=False),
            task.train_transform,
            deal,
            seed=seed,
            start_step=state.step,
            window=recipe.shuffle_window,
            num_workers=loader_workers,
        )
        held_out = partial(
            eval_batches,
            manifest,
            "val",
            partial(task.decode, exact=True),
            task.eval_transform,
            batch_size=recipe.eval_batch,
            rank=rank(),
            world_size=world_size(),
            num_workers=loader_workers,
        )
        around = Surroundings(clock, meter, requests, checkpoints, save, log, tell, runtime.report)
        with _memory_told(state, recipe, deal):
            fit(state, task, recipe, deal, batches, held_out, around, seed=seed, device=device)


@contextmanager
def _waited_for(copies: Copies | None) -> Iterator[None]:
    """Copies that are under way when the block ends are made to their end; after an error they get a few seconds."""
    seconds = GRACE_SECONDS
    try:
        yield
        seconds = PATIENCE_SECONDS
    finally:
        if copies:
            copies.wait(seconds)


def _newest(checkpoints: Path, remote: str | None) -> Path | None:
    """The run's newest checkpoint, brought from its second place if it is newer there; the same for all ranks.

    Rank 0 looks, so that a slow file system cannot show two ranks different newest checkpoints.
    """
    found = None
    if rank() == 0:
        if remote:
            fetch_newest(remote, checkpoints)
        found = newest_checkpoint(checkpoints)
    return from_first_rank(found)


@contextmanager
def _memory_told(state: TrainState, recipe: Recipe, deal: Deal) -> Iterator[None]:
    """Turn the many errors of too little memory into one that says what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's own error of GPUs is a RuntimeError
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in NO_MEMORY):
            raise
        mine = deal.mine(state.step)
        now = f"now {recipe.micro_batch}" if recipe.micro_batch else f"now all {mine.stop - mine.start}"
        raise OutOfMemoryError(
            f"rank {rank()} ran out of memory at step {state.step}: lower recipe.micro_batch ({now} samples of a "
            "worker's part at once), recipe.eval_batch or launch.loader_workers, or use more workers"
        ) from error


def _build_state(
    task: Task,
    recipe: Recipe,
    resume_from: Path | None,
    start: Path | None,
    seed: int,
    device: torch.device,
    clock: Clock,
) -> tuple[TrainState, dict[str, Any]]:
    """The state to go on from, and the ``meta.json`` of its checkpoint (empty: a fresh run)."""
    meta = read_meta(resume_from) if resume_from else {}
    torch.manual_seed(seed)  # every rank draws the same fresh weights
    model = task.build_model()
    if start and not resume_from:
        load_start(model, start)
    if recipe.sync_batch_norm and world_size() > 1:
        model = synchronised(model, device, clock)
    model = model.to(device)
    # `model` itself stays as it is: the names of its weights, and evaluation, where every size would be compiled anew.
    forward = cast(nn.Module, torch.compile(model)) if recipe.compile else model
    if in_group():
        # Only sizes of 1 differ in their strides, as those of 1x1 kernels: the bytes are the same.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        # Running statistics are equal on all ranks when normalisation is; else rank 0's are sent before evaluation.
        forward = DistributedDataParallel(forward, forward_sync_buffers=False, gradient_as_bucket_view=True)
    state = TrainState(
        model,
        forward,
        build_optimizer(recipe.phases[meta.get("phase", 0)], model.parameters()),
        GradScaler(device.type, enabled=recipe.precision == "fp16"),
        start_average(model) if recipe.ema_decay else None,
    )
    if resume_from:
        load_checkpoint(state, resume_from, meta)
    return state, meta
