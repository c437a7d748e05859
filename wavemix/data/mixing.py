"""Mixup and CutMix: a batch mixed with itself. It knows no label, no task and no process group.

Shapes: b = batch, c = channels, h, w = height, width.
"""

import math

import numpy as np
from torch import Tensor


def mix(
    image_bchw: Tensor,
    generator: np.random.Generator,
    *,
    mixup_alpha: float,
    cutmix_alpha: float,
    prob: float,
    cutmix_prob: float,
) -> tuple[Tensor, float]:
    """Each picture mixed with the one at the mirrored place of the batch, all in the same way.

    Mixup takes a weighted mean of two pictures, CutMix puts a box of the other into the own one. The other picture of
    place i stands at b - 1 - i in this batch: who is mixed with whom depends on how a global batch is dealt to ranks.

    Args:
        image_bchw: Pictures, any float dtype and device; a batch of one cannot be mixed and comes back as it is.
        generator: Gives all random numbers; the same for the same batch.
        mixup_alpha: Both parameters of the beta distribution of the own picture's share, above 0.
        cutmix_alpha: The same for CutMix, where it is a share of the area.
        prob: Probability that the batch is mixed.
        cutmix_prob: Probability that this is done by CutMix.

    Returns:
        The pictures, and the share of its own that each has, in 0..1: the share of its own label in its target.

    Source: mixup (arXiv 1710.09412) and CutMix (arXiv 1905.04899) as timm's Mixup joins them, mode batch; the share of
    CutMix is that of the box inside the picture.
    """
    if len(image_bchw) == 1 or generator.random() >= prob:
        return image_bchw, 1.0
    if generator.random() < cutmix_prob:
        return _cutmix(image_bchw, float(generator.beta(cutmix_alpha, cutmix_alpha)), generator)
    share = float(generator.beta(mixup_alpha, mixup_alpha))
    return image_bchw.flip(0).lerp_(image_bchw, share), share


def _cutmix(image_bchw: Tensor, share: float, generator: np.random.Generator) -> tuple[Tensor, float]:
    """A box around a random pixel; what of it lies outside of the picture is lost, so the share may grow."""
    height, width = image_bchw.shape[2:]
    rows, columns = (_cut(side, math.sqrt(1 - share), generator) for side in (height, width))
    mixed_bchw = image_bchw.clone()
    mixed_bchw[:, :, rows, columns] = image_bchw[:, :, rows, columns].flip(0)
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return mixed_bchw, 1 - area / (height * width)


def _cut(side: int, share: float, generator: np.random.Generator) -> slice:
    length, centre = int(side * share), int(generator.integers(side))
    return slice(max(0, centre - length // 2), min(side, centre + (length + 1) // 2))
