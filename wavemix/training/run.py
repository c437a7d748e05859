"""One run, from its folder's last checkpoint (or a fresh model) to its last step. It knows no launcher and no config
file: whoever started this process hands it a ``Runtime``.

Where weights come from, in this order: the run's own last checkpoint, else those that it was given to start from, else
(and where these leave out the head) a fresh model drawn from the seed.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import nn
from torch.amp import GradScaler
from torch.nn.parallel import DistributedDataParallel

from wavemix.config import Recipe
from wavemix.data import Deal, LoaderState, Manifest
from wavemix.data.loader import eval_batches, train_batches
from wavemix.distributed import from_first_rank, in_group, rank, world_size
from wavemix.tasks.base import Task
from wavemix.tracking import JsonLines
from wavemix.training.average import start_average
from wavemix.training.batch_norm import synchronised
from wavemix.training.checkpoint import load_checkpoint, newest_checkpoint, read_meta, save_checkpoint
from wavemix.training.loop import Report, fit
from wavemix.training.optim import build_optimizer
from wavemix.training.state import TrainState
from wavemix.training.weights import load_start


@dataclass(frozen=True)
class Runtime:
    """What a launcher gives to each process; ranks come from the process group (``wavemix.distributed``)."""

    device: torch.device
    report: Report


def train(
    task: Task,
    recipe: Recipe,
    manifest: Manifest,
    run_dir: Path,
    *,
    seed: int,
    runtime: Runtime,
    start: Path | None = None,
    loader_workers: int = 0,
) -> None:
    """Train, or go on training, in ``run_dir``: ``checkpoints/`` and ``metrics.jsonl`` are there afterwards.

    Every rank calls it; ``run_dir`` must be the same folder for all of them, and ``start``, a safetensors file with
    weights to start from, the same file.
    """
    deal = Deal(manifest.num_samples("train"), recipe.global_batch, rank(), world_size(), recipe.tail)
    checkpoints = run_dir / "checkpoints"
    # Rank 0 looks, so that a slow file system cannot show two ranks different newest checkpoints.
    resume_from = from_first_rank(newest_checkpoint(checkpoints) if rank() == 0 else None)
    state = _build_state(task, recipe, resume_from, start, seed, runtime.device)
    if resume_from:
        stood = LoaderState(**read_meta(resume_from)["loader"])
        step = deal.step_of(stood, seed=seed, manifest_sha256=manifest.sha256)
        assert step == state.step, f"{resume_from}: weights of step {state.step}, loader at step {step}"
    metrics = JsonLines(run_dir / "metrics.jsonl", last_step=state.step) if rank() == 0 else None

    def log(step: int, numbers: Mapping[str, float]) -> None:
        if metrics:
            metrics.write({"step": step, "time": time.time(), **numbers})

    def save(state: TrainState) -> Path | None:
        stands = deal.state(state.step, seed=seed, manifest_sha256=manifest.sha256)
        return save_checkpoint(state, checkpoints, loader=asdict(stands)) if rank() == 0 else None

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
    fit(
        state,
        task,
        recipe,
        deal,
        batches,
        lambda: eval_batches(
            manifest,
            "val",
            partial(task.decode, exact=True),
            task.eval_transform,
            batch_size=recipe.eval_batch,
            rank=rank(),
            world_size=world_size(),
            num_workers=loader_workers,
        ),
        seed=seed,
        device=runtime.device,
        checkpoints=checkpoints,
        save=save,
        log=log,
        report=runtime.report,
    )


def _build_state(
    task: Task, recipe: Recipe, resume_from: Path | None, start: Path | None, seed: int, device: torch.device
) -> TrainState:
    torch.manual_seed(seed)  # every rank draws the same fresh weights
    model = task.build_model()
    if start and not resume_from:
        load_start(model, start)
    if recipe.sync_batch_norm and world_size() > 1:
        model = synchronised(model, device)
    model = model.to(device)
    # `model` itself stays as it is: the names of its weights, and evaluation, where every size would be compiled anew.
    forward = cast(nn.Module, torch.compile(model)) if recipe.compile else model
    if in_group():
        # Running statistics are equal on all ranks when normalisation is; else rank 0's are sent before evaluation.
        forward = DistributedDataParallel(forward, forward_sync_buffers=False, gradient_as_bucket_view=True)
    phase = read_meta(resume_from)["phase"] if resume_from else 0
    state = TrainState(
        model,
        forward,
        build_optimizer(recipe.phases[phase], model.parameters()),
        GradScaler(device.type, enabled=recipe.precision == "fp16"),
        start_average(model) if recipe.ema_decay else None,
        phase=phase,
    )
    if resume_from:
        load_checkpoint(state, resume_from)
    return state
