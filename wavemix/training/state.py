"""What training changes from step to step: weights, optimizer, where it is, and the best it has seen.

Nothing else has to be kept. The order of samples and all random numbers follow from the seed and the step, so there is
no loader state and no generator state. It knows no loop, no file and no task.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn, optim


class Best(NamedTuple):
    """The best score so far, and the step whose checkpoint holds its weights."""

    score: float
    step: int


@dataclass
class TrainState:
    """``forward`` is what a batch goes through: ``model`` itself, or its DistributedDataParallel wrapping."""

    model: nn.Module
    forward: nn.Module
    optimizer: optim.Optimizer
    step: int = 0  # optimizer steps done
    phase: int = 0  # of the recipe
    best: Best | None = None


def seed_step(seed: int, step: int, rank: int) -> None:
    """Make torch's random numbers of this step (dropout) a function of (seed, step, rank)."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1))
