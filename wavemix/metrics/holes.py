"""Metrics of filled holes: the error within them, any metric by share of the hole, and which masks were scored. They
know no task and no network.

Shapes: b = batch, h, w = height, width. Masks: 1 = hole.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wavemix.metrics.tally import Ratio, ratio

NUM_BINS = 10


@dataclass(frozen=True)
class DigestSum:
    """The sum of 64-bit digests modulo 2**64: of a set, whatever its order and however it is split."""

    total: int

    def __add__(self, other: "DigestSum") -> "DigestSum":
        return DigestSum((self.total + other.total) % 2**64)

    @property
    def low_bits(self) -> float:
        """The lower 48 bits: as many as every reader of a float keeps."""
        return float(self.total % 2**48)


def digest_sum(digest_b: Tensor) -> DigestSum:
    """Of int64 digests, whose bits are those of unsigned numbers."""
    return DigestSum(sum(digest_b.tolist()) % 2**64)


def l1_hole(answer_b3hw: Tensor, truth_b3hw: Tensor, mask_b1hw: Tensor) -> Ratio:
    """Mean over pictures of the mean absolute error over a picture's missing pixels and their channels.

    Every picture counts alike, as it does for PSNR and SSIM, whether its hole is small or large.

    Args:
        answer_b3hw: In [0, 1], any float dtype.
        truth_b3hw: Of the same shape.
        mask_b1hw: Bool, or 0 and 1; each picture has a hole.
    """
    hole_b1hw = mask_b1hw.double()
    error_b1hw = (answer_b3hw.double() - truth_b3hw).abs().mean(dim=1, keepdim=True)
    value_b = (error_b1hw * hole_b1hw).sum(dim=(1, 2, 3)) / hole_b1hw.sum(dim=(1, 2, 3))
    return ratio(value_b.sum(), len(value_b))


def by_share_of_hole(
    measure: Callable[..., Ratio], answer_b3hw: Tensor, truth_b3hw: Tensor, mask_b1hw: Tensor
) -> dict[str, Ratio]:
    """A metric for each tenth of the share of the hole: ``10_20`` for 0.1 <= share < 0.2, and 1 belongs to the last.

    Args:
        measure: (answer, truth, mask) -> a ratio whose sum over any partition of the batch is that of the batch.
        answer_b3hw: What ``measure`` takes.
        truth_b3hw: The same.
        mask_b1hw: Bool, or 0 and 1.

    Source: the bins of 10 % of LaMa's evaluation (saicinpainting/evaluation/evaluator.py).
    """
    # In whole numbers: the share 0.3 of a picture is in its bin on every machine.
    num_missing_b, num_pixels = (mask_b1hw != 0).sum(dim=(1, 2, 3)), mask_b1hw[0].numel()
    bin_b = (NUM_BINS * num_missing_b // num_pixels).clamp_max(NUM_BINS - 1)
    width = 100 // NUM_BINS
    return {
        f"{width * number}_{width * (number + 1)}": (
            measure(answer_b3hw[chosen_b], truth_b3hw[chosen_b], mask_b1hw[chosen_b])
            if (chosen_b := bin_b == number).any()
            else ratio(torch.zeros(()), 0)
        )
        for number in range(NUM_BINS)
    }
