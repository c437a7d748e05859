"""What training changes from step to step: weights, optimizer, where it is, and the best it has seen.

Nothing else has to be kept. The order of samples and all random numbers follow from the seed and the step, so there is
no loader state and no generator state. It knows no loop, no file and no task.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn, optim
from torch.amp import GradScaler


class Best(NamedTuple):
    """The best score so far, the newest step with it, whose checkpoint holds its weights, and the first one."""

    score: float
    step: int
    reached: int


class Place(NamedTuple):
    """Where a run stands, and how it came there."""

    step: int  # optimizer steps done
    phase: int  # of the recipe: the one that did the last of them
    phase_start: int  # the steps done when it began
    best: Best | None


@dataclass
class TrainState:
    """``forward`` is what a batch goes through: ``model`` itself, or what compiles it and exchanges its gradients."""

    model: nn.Module
    forward: nn.Module
    optimizer: optim.Optimizer
    scaler: GradScaler = field(default_factory=lambda: GradScaler("cpu", enabled=False))  # of fp16's losses
    average: nn.Module | None = None  # of the model's weights
    step: int = 0
    phase: int = 0
    phase_start: int = 0
    best: Best | None = None
    bad_steps: int = 0  # in a row, up to now: their gradient was not finite
    rollbacks: int = 0
    kept_buffers: list[Tensor] = field(default_factory=list)

    @property
    def place(self) -> Place:
        return Place(self.step, self.phase, self.phase_start, self.best)

    def keep_buffers(self) -> None:
        """Remember the running statistics, so that a step can be left out as a whole."""
        buffers = list(self.model.buffers())
        if not self.kept_buffers:
            self.kept_buffers = [torch.empty_like(buffer) for buffer in buffers]
        if buffers:
            torch._foreach_copy_(self.kept_buffers, buffers)

    def restore_buffers(self) -> None:
        if self.kept_buffers:
            torch._foreach_copy_(list(self.model.buffers()), self.kept_buffers)

    @property
    def scored(self) -> nn.Module:
        """The model that is evaluated and kept."""
        return self.model if self.average is None else self.average


def seed_step(seed: int, step: int, rank: int) -> None:
    """Make torch's random numbers of this step (dropout) a function of (seed, step, rank)."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1))
