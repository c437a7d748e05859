"""Decides how RGB becomes luminance and colour differences, and back; knows no task and no metric.

Shapes: b = batch, h, w = height, width. Channels are R, G, B or Y, Cb, Cr. Everything works on any float dtype and
device, without a matrix product, whose precision a GPU may lower.
"""

import torch
from torch import Tensor

BLUE, RED = 0.564, 0.713
"""By how much B - Y and R - Y are scaled to become Cb and Cr."""


def luma(rgb_b3hw: Tensor) -> Tensor:
    """Full-range Y ``[b, 1, h, w]``, in the range of the input: 0..1 or 0..255. That of grey is its value.

    Source: ITU-R BT.601, with the weights rounded to three digits.
    """
    red, green, blue = rgb_b3hw.chunk(3, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def studio_luma(rgb_b3hw: Tensor) -> Tensor:
    """Y in the range of studios, which the protocols of super-resolution compare.

    Args:
        rgb_b3hw: In [0, 1].

    Returns:
        ``[b, 1, h, w]`` from 16 (black) to 235 (white), not rounded.

    Source: ITU-R BT.601; MATLAB's rgb2ycbcr of doubles, times 255.
    """
    red, green, blue = rgb_b3hw.chunk(3, dim=1)
    return 16 + 65.481 * red + 128.553 * green + 24.966 * blue


def rgb_to_ycbcr(rgb_b3hw: Tensor) -> Tensor:
    """RGB in [0, 1] to full-range YCbCr in [0, 1] (Cb and Cr of grey are 0.5), up to 0.003 beyond it for pure colours.

    Source: kornia's ``rgb_to_ycbcr``, in which the authors of WaveMixSR work.
    """
    red, _, blue = rgb_b3hw.chunk(3, dim=1)
    y_b1hw = luma(rgb_b3hw)
    return torch.cat((y_b1hw, (blue - y_b1hw) * BLUE + 0.5, (red - y_b1hw) * RED + 0.5), dim=1)


def ycbcr_to_rgb(ycbcr_b3hw: Tensor) -> Tensor:
    """The inverse of ``rgb_to_ycbcr``, not clipped.

    Deliberate difference: kornia's rounds its coefficients to three digits, so that a picture that goes there and back
    differs by up to 0.2 of 255. This one is exact.
    """
    y_b1hw, cb_b1hw, cr_b1hw = ycbcr_b3hw.chunk(3, dim=1)
    red, blue = y_b1hw + (cr_b1hw - 0.5) / RED, y_b1hw + (cb_b1hw - 0.5) / BLUE
    return torch.cat((red, (y_b1hw - 0.299 * red - 0.114 * blue) / 0.587, blue), dim=1)
