"""Metrics as sums: each function turns a batch into a ``Ratio``; ratios add up over batches and ranks, and are divided
once. So a score does not depend on how the data were split. No metric knows a task or a model.

Shapes: b = batch, k = classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from wavemix.distributed import gather_over_ranks


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


def sum_ratios(ratios: Mapping[str, Ratio], more: Mapping[str, Ratio]) -> dict[str, Ratio]:
    """Two mappings added by name; a name that one of them lacks counts as nothing there."""
    return {
        name: ratios[name] + more[name] if name in ratios and name in more else (ratios.get(name) or more[name])
        for name in {**ratios, **more}
    }


def over_ranks(ratios: Mapping[str, Ratio]) -> dict[str, Ratio]:
    """The sum over ranks, in rank order; a rank that had no sample may have no names."""
    total: dict[str, Ratio] = {}
    for part in gather_over_ranks(dict(ratios)):
        total = sum_ratios(total, part)
    return total


def top_k(logits_bk: Tensor, label_b: Tensor, *, k: int) -> Ratio:
    """Share of samples whose true class is among the ``k`` with the highest scores (all of them if there are fewer).

    Ties are decided against the prediction only where torch.topk leaves the true class out.
    """
    best_bk = logits_bk.topk(min(k, logits_bk.shape[1]), dim=1).indices
    return ratio((best_bk == label_b[:, None]).any(dim=1).sum(), label_b.numel())


def confusion(logits_bk: Tensor, label_b: Tensor) -> Ratio:
    """Row-normalised confusion matrix ``[k, k]``: of the samples of class i, the share predicted as class j.

    ``total`` holds the counts themselves.
    """
    num_classes = logits_bk.shape[1]
    cells = label_b * num_classes + logits_bk.argmax(dim=1)
    counts = torch.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)
    return ratio(counts, counts.sum(dim=1, keepdim=True))


def mean_of(value: Tensor, count: int) -> Ratio:
    """A mean over ``count`` samples, such as a loss, as a ratio that adds up."""
    return ratio(value * count, count)
