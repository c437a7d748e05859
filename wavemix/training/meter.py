"""What training reports of itself between two readings: loss, rate, and fp16's scale. It knows no task."""

import math
import time
from pathlib import Path

import torch
from torch import Tensor

from wavemix.distributed import sum_over_ranks, world_size
from wavemix.errors import TrainingError
from wavemix.training.state import TrainState

LEAST_SCALE = 2.0**-24
"""The smallest number of fp16; a loss scaled by less is nothing."""


class Meter:
    """Loss and rate since the last reading, over all ranks. ``checkpoints`` is for the message of an error alone."""

    def __init__(self, checkpoints: Path) -> None:
        self._checkpoints = checkpoints
        self._reset()

    def _reset(self) -> None:
        self._losses: list[Tensor] = []
        self._samples, self._since = 0, time.perf_counter()

    def add(self, loss: Tensor, batch: slice) -> None:
        self._losses.append(loss)  # a tensor: nothing waits for the device here
        self._samples += batch.stop - batch.start

    def read(self, state: TrainState) -> dict[str, float]:
        """Mean loss per sample and samples per second.

        Raises:
            TrainingError: On every rank, if the loss is not finite any more, or no scale keeps fp16's gradients finite.
        """
        mine = torch.stack(self._losses).double().mean()
        loss = float(sum_over_ranks(mine)) / world_size()  # waits for the device
        last_good = f"The last good checkpoint stays in {self._checkpoints}"
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {state.step}; lower the learning rate of this phase (recipe.phases). "
                + last_good
            )
        numbers = {"train/loss": loss}
        if state.scaler.is_enabled():
            numbers["train/loss_scale"] = state.scaler.get_scale()
            if numbers["train/loss_scale"] < LEAST_SCALE:
                raise TrainingError(
                    f"fp16 holds no gradient of this model any more at step {state.step}: step after step was left "
                    f"out; set recipe.precision to bf16 or fp32. {last_good}"
                )
        rate = self._samples / (time.perf_counter() - self._since)
        self._reset()
        return {**numbers, "train/samples_per_second": rate}
