"""Pure functions (prediction, target) -> loss, a mean over samples. They know no task and no model.

Shapes: b = batch, k = classes, h, w = height, width.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logits_bk: Tensor, target: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Mean negative log-likelihood of the true class.

    Args:
        logits_bk: Scores before softmax.
        target: Class indices, int64 ``[b]``, or each class's share, float ``[b, k]`` (`mixed_targets`).
        label_smoothing: Share of the target spread evenly over all classes, in [0, 1).

    Returns:
        A scalar in nats.

    Source: the loss of all the paper's classification runs (arXiv 2205.14375, section 4.2).
    """
    return F.cross_entropy(logits_bk, target, label_smoothing=label_smoothing)


def binary_cross_entropy(logits_bk: Tensor, target: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Mean, over samples and classes, of the negative log-likelihood of each class being there or not.

    Args:
        logits_bk: Scores before a sigmoid for each class.
        target: Class indices, int64 ``[b]``, or each class's share, float ``[b, k]`` (`mixed_targets`).
        label_smoothing: Share of the target spread evenly over all classes, in [0, 1).

    Returns:
        A scalar in nats.

    Source: ResNet strikes back (arXiv 2110.00476), section 2.2; timm's BinaryCrossEntropy with its defaults.
    """
    num_classes = logits_bk.shape[1]
    target_bk = target if target.ndim == 2 else F.one_hot(target, num_classes)
    smoothed_bk = target_bk * (1 - label_smoothing) + label_smoothing / num_classes
    return F.binary_cross_entropy_with_logits(logits_bk, smoothed_bk)


def mixed_targets(label_b: Tensor, other_b: Tensor, share_b: Tensor, *, num_classes: int) -> Tensor:
    """Each class's share in a mixture of two samples: float ``[b, k]``.

    Args:
        label_b: Class indices of the one, int64.
        other_b: Class indices of the other, int64.
        share_b: How much of the one is in the mixture, float in [0, 1].
        num_classes: Number of classes (k).
    """
    one_bk, other_bk = F.one_hot(label_b, num_classes), F.one_hot(other_b, num_classes)
    return share_b[:, None] * one_bk + (1 - share_b)[:, None] * other_bk


def huber(prediction: Tensor, target: Tensor, *, delta: float = 1.0) -> Tensor:
    """Half the squared error up to ``delta``, and ``delta (|e| - delta / 2)`` beyond it; the mean of all values.

    Between pictures in [0, 1] and with the default, it is half the mean squared error.

    Args:
        prediction: Of any shape.
        target: Of the same shape.
        delta: Where the two pieces meet, above 0.

    Source: WaveMixSR (arXiv 2307.00430); ``nn.HuberLoss()`` in all scripts of its authors.
    """
    return F.huber_loss(prediction, target, delta=delta)


def focal(logits_bkhw: Tensor, mask_bhw: Tensor, *, gamma: float, ignored: int) -> Tensor:
    """Pixel-wise focal loss: cross-entropy times ``(1 - p)**gamma``, where p is the probability of the true class.

    Each sample's mean over its counted pixels, averaged over samples: so the mean over ranks is the mean over all
    samples, however many pixels each one ignores.

    Args:
        logits_bkhw: Scores before softmax.
        mask_bhw: Class indices, int64.
        gamma: How little a pixel counts that is right already; 0 is cross-entropy.
        ignored: The class index of pixels that do not count; a sample without others has a loss of 0.

    Returns:
        A scalar in nats.

    Source: Lin et al. 2017 (arXiv 1708.02002), equation 4; WaveMix (arXiv 2205.14375), section 4.2, names it. The
    authors' script applies the factor to the mean cross-entropy of a batch instead (Cityscapes.py, FocalLoss2d).
    """
    nats_bhw = F.cross_entropy(logits_bkhw, mask_bhw, ignore_index=ignored, reduction="none")
    # Not quite 0, where a gamma below 1 has no finite gradient.
    wrong_bhw = (-torch.expm1(-nats_bhw)).clamp_min(1e-12)
    num_counted_b = (mask_bhw != ignored).sum(dim=(1, 2)).clamp_min(1)
    return ((wrong_bhw**gamma * nats_bhw).sum(dim=(1, 2)) / num_counted_b).mean()


def hybrid(
    answer_b3hw: Tensor, truth_b3hw: Tensor, *, perceptual: Callable[[Tensor, Tensor], Tensor] | None = None
) -> Tensor:
    """``10 (LPIPS + L1 / 2 + MSE / 2)`` between whole pictures, of which the known pixels are those of the truth.

    Args:
        answer_b3hw: Composited pictures in about [0, 1].
        truth_b3hw: Pictures in [0, 1].
        perceptual: (answers, truths) -> distance per picture, of any shape that starts with b. LPIPS with AlexNet is
            given [0, 1] here, as by the authors, though it was made for [-1, 1]. None leaves the pixels' part alone.

    Source: WavePaint (arXiv 2307.00407), HybridLoss of the authors' training scripts, with alpha = 0.5.
    """
    pixels = 0.5 * F.l1_loss(answer_b3hw, truth_b3hw) + 0.5 * F.mse_loss(answer_b3hw, truth_b3hw)
    return 10 * (pixels if perceptual is None else pixels + perceptual(answer_b3hw, truth_b3hw).mean())
