"""What a task is: all that the training loop may know of it.

A task is a frozen dataclass with these members in this order, and no base class. It is the only place where
data, model, loss, metric and picture meet.

Shapes: b = batch, c = channels, h, w = height, width.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from torch import Tensor, nn

from wavemix.data.schema import Record
from wavemix.metrics import Tally

Batch = Mapping[str, Tensor]
Predict = Callable[[nn.Module, Batch], Tensor]


class Goal(NamedTuple):
    """The metric that ranks checkpoints and trials, and which way is better."""

    metric: str
    better: Literal["max", "min"]

    def is_better(self, score: float, best: float) -> bool:
        """A tie goes to the newer one, which has been trained longer."""
        return score >= best if self.better == "max" else score <= best


@dataclass(frozen=True)
class Rendered:
    """One sample as a person looks at it; what does not apply to a task is None."""

    image_3hw: Tensor
    """In [0, 1], on the CPU: the picture, or side by side what went in, the answer, and the truth."""
    truth: str | None = None
    prediction: str | None = None
    prob: float | None = None
    correct: bool | None = None
    caption: str | None = None
    """A few words, such as the sample's own score."""


class Task(Protocol):
    """Pictures are float32 in [0, 1] from ``train_batch`` on; normalising them is the task's."""

    @property
    def schema(self) -> str: ...  # which samples it needs: a name in wavemix.data.schema.SCHEMAS

    @property
    def goal(self) -> Goal: ...  # its metric is one of those that ``summary`` gives, also in training

    def decode(self, record: Record, *, exact: bool) -> Any: ...  # inexact: as much of a picture as training needs

    def train_transform(self, sample: Any, generator: np.random.Generator) -> Any: ...

    def eval_transform(self, sample: Any) -> Any: ...

    def train_batch(self, batch: Batch, generator: np.random.Generator) -> Batch: ...  # mixing samples; may be a no-op

    def build_model(self) -> nn.Module: ...

    def predict(self, model: nn.Module, batch: Batch) -> Tensor: ...

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor: ...  # mean over the batch's samples

    def metrics(self, prediction: Tensor, batch: Batch, *, full: bool) -> Mapping[str, Tally]:
        """``full``: those also that are too slow for every epoch. The names are the same on every rank."""
        ...

    def summary(self, tallies: Mapping[str, Tally]) -> dict[str, float]: ...  # the sums of all batches -> numbers

    def variants(self) -> Mapping[str, Predict]:
        """Other ways to an answer, by what they add to the names of metrics: test-time augmentation, a baseline."""
        ...

    def render(self, prediction: Tensor, batch: Batch) -> list[Rendered]: ...

    def encode(self, prediction: Tensor, batch: Batch) -> list[bytes]: ...  # each answer as a PNG; none of no picture
