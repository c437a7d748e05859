"""Metrics of class scores: how often the true class is found, overall and class by class. They know no task.

Shapes: b = batch or any number of pixels, k = classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from wavemix.metrics.tally import Ratio, ratio


@dataclass(frozen=True)
class Confusion:
    """``counts[i, j]``: samples of class i that were taken for class j; int64 ``[k, k]`` on the CPU, so exact."""

    counts: Tensor

    def __add__(self, other: "Confusion") -> "Confusion":
        return Confusion(self.counts + other.counts)


def top_k(logits_bk: Tensor, label_b: Tensor, *, k: int) -> Ratio:
    """Share of samples whose true class is among the ``k`` with the highest scores (all of them if there are fewer).

    Ties are decided against the prediction only where torch.topk leaves the true class out.
    """
    best_bk = logits_bk.topk(min(k, logits_bk.shape[1]), dim=1).indices
    return ratio((best_bk == label_b[:, None]).any(dim=1).sum(), label_b.numel())


def class_accuracy(logits_bk: Tensor, label_b: Tensor) -> Ratio:
    """Share of each class's samples that were taken for it, ``[k]``; nan for a class without samples."""
    num_classes = logits_bk.shape[1]
    found_b = label_b[logits_bk.argmax(dim=1) == label_b]
    return ratio(torch.bincount(found_b, minlength=num_classes), torch.bincount(label_b, minlength=num_classes))


def confusion(predicted_b: Tensor, label_b: Tensor, *, num_classes: int) -> Confusion:
    """The confusion matrix of a batch.

    Args:
        predicted_b: Class indices in 0..k-1, of any shape.
        label_b: True ones, of the same shape; what lies outside of 0..k-1 is ignored.
        num_classes: k; the matrix has ``8 k**2`` bytes.
    """
    counted_b = (label_b >= 0) & (label_b < num_classes)
    cells = label_b[counted_b] * num_classes + predicted_b[counted_b]
    counts = torch.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)
    return Confusion(counts.cpu())
