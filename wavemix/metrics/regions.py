"""Metrics of segmentation: how well the regions of each class overlap. They know pixels, and no task.

Shapes: b = batch, h, w = height, width, k = classes.
"""

from torch import Tensor

from wavemix.metrics.classes import Confusion
from wavemix.metrics.tally import Ratio, ratio


def class_iou(confusion: Confusion) -> Ratio:
    """Intersection over union of each class, ``[k]``: TP / (TP + FP + FN) over all counted pixels.

    Args:
        confusion: ``[k, k]``, or with columns beyond k for answers that are no class: these are false negatives.

    Returns:
        Pixels of the intersection over those of the union, which add up over batches and ranks; nan for a class that is
        neither there nor found.

    Source: equals getIouScoreForLabel of cityscapesscripts 2.3.0 (evalPixelLevelSemanticLabeling.py), where pixels
    whose true class is ignored count nowhere.
    """
    counts = confusion.counts
    found = counts.diagonal()
    union = counts.sum(dim=1) + counts[:, : len(counts)].sum(dim=0) - found
    return ratio(found, union)


def mean_iou(confusion: Confusion) -> float:
    """Mean of ``class_iou`` over the classes that are there or were found; nan if there is none."""
    return float(class_iou(confusion).value.nanmean())


def pixel_accuracy(confusion: Confusion) -> float:
    """Share of the counted pixels whose class was found; nan if there is none."""
    return float(confusion.counts.diagonal().sum().double() / confusion.counts.sum())


def authors_overlap(predicted_bhw: Tensor, truth_bhw: Tensor) -> Ratio:
    """What the authors of WaveMix report as the mIoU of Cityscapes; it is none, and compares with nothing else.

    The indices of classes are taken as binary numbers: a picture's overlap is the sum over its pixels of (answer AND
    truth) divided by that of (answer OR truth), in ten steps between 0.5 and 1. The score is the mean over pictures.

    Args:
        predicted_bhw: Class indices, int64, as the authors count: 0 = void, 1..19 = train ids plus 1.
        truth_bhw: The true ones; void pixels count too.

    Source: iou_pytorch in Semantic_Segmentation/Cityscapes.py of the authors' repository. Deliberate difference: they
    average means of batches of 6, whose last one holds 2 of the 500 pictures. Not to be had of a network that ignores
    void: theirs learns it as a class; ours answers another class there, which adds to the OR alone.
    """
    both_b = (predicted_bhw & truth_bhw).sum(dim=(1, 2)).double()
    either_b = (predicted_bhw | truth_bhw).sum(dim=(1, 2)).double()
    overlap_b = (both_b + 1e-6) / (either_b + 1e-6)  # theirs: 1 for a picture that is void and taken for void
    step_b = (20 * (overlap_b - 0.5)).clamp(0, 10).ceil() / 10
    return ratio(step_b.sum(), len(step_b))
