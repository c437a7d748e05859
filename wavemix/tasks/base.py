"""What a task is: all that the training loop may know of it.

A task is a frozen dataclass with these members in this order, and no base class. It is the only place where
data, model, loss, metric and picture meet.

Shapes: b = batch, c = channels, h, w = height, width, k = classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from torch import Tensor, nn

from wavemix.data.schema import Record
from wavemix.metrics import Ratio

Batch = Mapping[str, Tensor]


class Goal(NamedTuple):
    """The metric that ranks checkpoints and trials, and which way is better."""

    metric: str
    better: Literal["max", "min"]

    def is_better(self, score: float, best: float) -> bool:
        """A tie goes to the newer one, which has been trained longer."""
        return score >= best if self.better == "max" else score <= best


@dataclass(frozen=True)
class Rendered:
    """One sample as a person looks at it: a picture in [0, 1], and ``prob`` and ``correct`` where they apply."""

    image_3hw: Tensor
    truth: str
    prediction: str
    prob: float | None
    correct: bool | None


class Task(Protocol):
    """Pictures are float32 in [0, 1] from ``predict`` on; normalising them is the task's."""

    @property
    def schema(self) -> str: ...  # which samples it needs: a name in wavemix.data.schema.SCHEMAS

    @property
    def goal(self) -> Goal: ...

    def decode(self, record: Record, *, exact: bool) -> Any: ...  # inexact: as much of a picture as training needs

    def train_transform(self, sample: Any, generator: np.random.Generator) -> Any: ...

    def eval_transform(self, sample: Any) -> Any: ...

    def build_model(self) -> nn.Module: ...

    def predict(self, model: nn.Module, batch: Batch) -> Tensor: ...

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor: ...  # mean over the batch's samples

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Ratio]: ...

    def render(self, prediction: Tensor, batch: Batch) -> list[Rendered]: ...
