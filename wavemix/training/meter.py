"""What training reports of itself between two readings: loss, rate, where the time went, samples of the epoch.

It knows no task, and outlives its process: its counts are part of a checkpoint, so that a continued run logs the
numbers of one that never stopped.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from wavemix.distributed import gather_over_ranks, rank, sum_over_ranks, world_size
from wavemix.training.clock import Clock
from wavemix.training.state import TrainState
from wavemix.training.step import exchange_seconds

TRAINING = ("input", "compute", "communication")
"""The parts of the clock that samples per second are a matter of."""


class Meter:
    """Args: the clock of this process, and the counts that a checkpoint holds (empty: a fresh run)."""

    def __init__(self, clock: Clock, kept: Mapping[str, Any]) -> None:
        self._clock = clock
        self._steps: int = kept.get("steps", 0)  # with a loss
        self._since_reading = 0  # samples, for the rate
        ranks = kept.get("ranks", [[0.0, 0]])
        if len(ranks) != world_size():  # sums are sums, whoever holds them
            scale = world_size() / len(ranks)  # a rank's loss is weighted so that their mean is that of the batch
            ranks = [[scale * sum(loss for loss, _ in ranks), sum(samples for _, samples in ranks)]]
        loss, samples = ranks[rank()] if rank() < len(ranks) else (0.0, 0)
        self._loss: Tensor | float = loss
        self._epoch_samples = int(samples)

    def add(self, loss: Tensor | None, num_samples: int) -> None:
        """Count a step of this rank; ``loss`` is None where it was left out."""
        if loss is not None:
            self._loss = self._loss + loss.double()  # a tensor: nothing waits for the device here
            self._steps += 1
        self._since_reading += num_samples
        self._epoch_samples += num_samples

    def read(self, state: TrainState, *, epoch_ended: bool) -> dict[str, float]:
        """Means over the ranks since the last reading. Every rank calls it at the same steps."""
        seconds = self._clock.read()
        exposed = min(exchange_seconds(state.forward) * self._steps, seconds["compute"])
        seconds["compute"] -= exposed
        seconds["communication"] += exposed
        mine = [float(self._loss), *seconds.values(), self._since_reading, self._epoch_samples]  # waits for the device
        loss, *mean_seconds, samples, epoch_samples = sum_over_ranks(
            torch.tensor(mine, dtype=torch.float64, device=_device(state))
        ).tolist()
        seconds = {part: total / world_size() for part, total in zip(seconds, mean_seconds, strict=True)}
        numbers = {"train/loss": loss / world_size() / self._steps} if self._steps else {}
        numbers["train/samples_per_second"] = samples / max(sum(seconds[part] for part in TRAINING), 1e-9)
        if state.scaler.is_enabled():
            numbers["train/loss_scale"] = state.scaler.get_scale()
        if epoch_ended:
            numbers["train/epoch_samples"] = epoch_samples
            self._epoch_samples = 0
        self._loss, self._steps, self._since_reading = 0.0, 0, 0
        return {**numbers, **{f"time/{part}": value for part, value in seconds.items()}}

    def kept(self) -> dict[str, Any]:
        """The counts of all ranks, for a checkpoint. Every rank calls it."""
        return {"steps": self._steps, "ranks": gather_over_ranks([float(self._loss), self._epoch_samples])}


def _device(state: TrainState) -> torch.device:
    return next(state.model.parameters()).device
