"""The process group as the rest of the code sees it; everything here is right with one process and no group too.

It knows ranks and tensors, and nothing of who started the processes.
"""

from collections.abc import Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")


def in_group() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    return dist.get_rank() if in_group() else 0


def world_size() -> int:
    return dist.get_world_size() if in_group() else 1


def barrier() -> None:
    if in_group():
        dist.barrier()


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """The sum of every rank's tensor, on every rank; the argument is left as it is."""
    total = tensor.clone()
    if in_group():
        dist.all_reduce(total)
    return total


def greatest_over_ranks(values: Sequence[int], device: torch.device) -> list[int]:
    """The greatest of every rank's values at each place, on every rank."""
    greatest = torch.tensor(values, dtype=torch.int64, device=device)
    if in_group():
        dist.all_reduce(greatest, op=dist.ReduceOp.MAX)
    return [int(value) for value in greatest]


def gather_over_ranks(value: T) -> list[T]:
    """Every rank's value, in rank order, on every rank. For small things: they are pickled between our processes."""
    if not in_group():
        return [value]
    values: list[T | None] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def from_first_rank(value: T) -> T:
    """Rank 0's value, on every rank."""
    box = [value]
    if in_group():
        dist.broadcast_object_list(box, src=0)
    return box[0]


def copy_buffers_from_first_rank(module: nn.Module) -> None:
    """Make buffers (running statistics) equal on all ranks."""
    if in_group():
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)
