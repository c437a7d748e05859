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


def train_step(state: TrainState, task: Task, recipe: Recipe, deal: Deal, batch: Batch, device: torch.device) -> Tensor:
    """Take the step ``state.step``; returns the loss of this rank's part times its weight in the batch, detached.

    The gradient is that of the mean over the samples of all ranks, however they are dealt and cut. Under fp16 a step
    whose gradient is not finite changes no weight, and lowers the scaler's scale.
    """
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
    if recipe.clip_norm is not None:
        state.scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(state.model.parameters(), recipe.clip_norm)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    return torch.stack(losses).sum()


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
