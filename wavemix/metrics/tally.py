"""Metrics as sums: a tally of a batch is added to those of other batches and ranks, and turned into a number once. So a
score does not depend on how the data were split. It knows no metric by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor

from wavemix.distributed import gather_over_ranks


class Tally(Protocol):
    """What a metric has counted so far. It holds no graph, lies on the CPU, and can be sent to another process."""

    def __add__(self, other: Self) -> Self: ...


AnyTally = TypeVar("AnyTally", bound=Tally)


@dataclass(frozen=True)
class Ratio:
    """``total / count``, not yet divided: both float64, on the CPU, and of shapes that broadcast."""

    total: Tensor
    count: Tensor

    def __add__(self, other: "Ratio") -> "Ratio":
        return Ratio(self.total + other.total, self.count + other.count)

    @property
    def value(self) -> Tensor:
        """The quotient; nan where nothing was counted."""
        return self.total / self.count


def ratio(total: Tensor, count: Tensor | float) -> Ratio:
    """A ``Ratio`` from whatever a metric has at hand."""
    return Ratio(total.detach().to("cpu", torch.float64), torch.as_tensor(count).to("cpu", torch.float64))


def mean_of(value: Tensor, count: int) -> Ratio:
    """A mean over ``count`` samples, such as a loss, as a ratio that adds up."""
    return ratio(value * count, count)


def add_tallies(some: Mapping[str, AnyTally], more: Mapping[str, AnyTally]) -> dict[str, AnyTally]:
    """Two mappings added by name; a name that one of them lacks counts as nothing there."""
    return {
        name: some[name] + more[name] if name in some and name in more else (some.get(name) or more[name])
        for name in {**some, **more}
    }


def over_ranks(tallies: Mapping[str, AnyTally]) -> dict[str, AnyTally]:
    """The sum over ranks, in rank order; a rank that had no sample may have no names."""
    total: dict[str, AnyTally] = {}
    for part in gather_over_ranks(dict(tallies)):
        total = add_tallies(total, part)
    return total


def scalars(tallies: Mapping[str, Any]) -> dict[str, float]:
    """The ratios that are one number each (a ratio per class, or a confusion matrix, is not)."""
    return {
        name: float(tally.value)
        for name, tally in tallies.items()
        if isinstance(tally, Ratio) and tally.value.numel() == 1
    }
