"""One optimizer step on this rank's part of a batch: in pieces, in the recipe's precision, clipped. It knows no epoch.

A step of one piece in float32 is a plain forward pass, backward pass and update, bit for bit.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from wavemix.config import Recipe
from wavemix.data import Deal
from wavemix.tasks.base import Batch, Task
from wavemix.training.state import TrainState

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def train_step(
    state: TrainState, task: Task, recipe: Recipe, deal: Deal, batch: Batch, device: torch.device
) -> Tensor | None:
    """Take the step ``state.step``; returns the loss of this rank's part times its weight in the batch, detached.

    The gradient is that of the mean over the samples of all ranks, however they are dealt and cut. A gradient that is
    not finite changes neither weights nor running statistics, and the answer is None; it is so on every rank, since
    all have the same gradient. Under fp16 it lowers the scaler's scale.
    """
    state.keep_buffers()  # a forward pass that overflows spoils running statistics for good
    state.forward.train()
    state.optimizer.zero_grad(set_to_none=True)
    losses = []
    number = num_pieces(deal, state.step, recipe.micro_batch)
    for index, (piece, share) in enumerate(pieces(batch, number)):
        with _apart(state.forward, exchange=index == number - 1):
            with torch.autocast(device.type, HALF.get(recipe.precision), enabled=recipe.precision in HALF):
                loss = task.loss(task.predict(state.forward, piece), piece) * (deal.weight(state.step) * share)
            state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
    if state.scaler.is_enabled():
        state.scaler.unscale_(state.optimizer)
    parameters = list(state.model.parameters())
    norm = nn.utils.get_total_norm([one.grad for one in parameters if one.grad is not None])
    finite = bool(norm.isfinite())
    if recipe.clip_norm is not None:
        nn.utils.clip_grads_with_norm_(parameters, recipe.clip_norm, norm)
    if finite or state.scaler.is_enabled():  # the scaler leaves the step out by itself
        state.scaler.step(state.optimizer)
    state.scaler.update()
    if not finite:
        state.restore_buffers()
        return None
    return torch.stack(losses).sum()


def exchange_seconds(forward: nn.Module) -> float:
    """What exchanging gradients adds to a step, as DDP samples it (every hundredth step); 0 without DDP."""
    if not isinstance(forward, DistributedDataParallel):
        return 0.0
    sampled = forward._get_ddp_logging_data()  # type: ignore[no-untyped-call]
    total, hidden = (sampled.get(f"avg_backward_{name}_time", 0) for name in ("comm", "compute_comm_overlap"))
    return max(0.0, float(total - hidden) / 1e9)


def num_pieces(deal: Deal, step: int, micro_batch: int | None) -> int:
    """Into how many pieces each rank cuts its part: the same number on all, since normalisation waits for every rank.

    No piece is empty. So where ``micro_batch`` is 1 and one rank's part is a sample shorter than another's, the latter
    has a piece of two.
    """
    if micro_batch is None:
        return 1
    batch = deal.batch(step)
    num_samples: int = batch.stop - batch.start
    shortest, longest = num_samples // deal.world_size, -(-num_samples // deal.world_size)
    return min(-(-longest // micro_batch), shortest)


def pieces(batch: Batch, number: int) -> Iterator[tuple[Batch, float]]:
    """The batch cut into pieces that are equal up to a sample, each with its share of the samples."""
    cut = {name: tensor.tensor_split(number) for name, tensor in batch.items()}
    num_samples = len(next(iter(batch.values())))
    for index in range(number):
        piece = {name: parts[index] for name, parts in cut.items()}
        yield piece, len(next(iter(piece.values()))) / num_samples


def _apart(forward: nn.Module, *, exchange: bool) -> AbstractContextManager[None]:
    """Ranks exchange gradients only where they are told to: once a step, with the last piece."""
    return nullcontext() if exchange or not isinstance(forward, DistributedDataParallel) else forward.no_sync()
