"""Decides how an image becomes the first feature map; does not know what follows.

Shapes: b = batch, c = image channels, h, w = height, width of the image; d = dim, u, v = sides behind the stem.
"""

from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn

from wavemix.models.checks import at_least_1
from wavemix.models.linear import LinearChain
from wavemix.models.norm import BatchNorm2d

StemName = Literal["strided", "patchify"]


def build_stem(stem: StemName, *, in_channels: int, dim: int, stride: int, patch_size: int) -> nn.Sequential:
    """The first layers of a network: convolutions with nothing between them, computed as one.

    ``"strided"``: two 3x3 convolutions, for small images and for segmentation; the map shrinks by ``stride**2``.
    ``"patchify"``: two 3x3 convolutions at full resolution and one per patch, then GELU and BN, for large images.

    Args:
        stem: One of these names.
        in_channels: Channels of the image (c).
        dim: Channels of the feature map (d); divisible by 4.
        stride: Stride of both convolutions of the strided stem: 1 keeps the size, 2 quarters it.
        patch_size: Side of the square patches; pixels at the bottom and the right that fill no patch are dropped.

    Returns:
        ``[b, c, h, w] -> [b, d, u, v]``.

    Raises:
        ValueError: If the name is unknown or a number below 1.

    Source: wavemix 0.2.4, ``initial_conv="strided"`` and ``"pachify"`` (as it is spelled there).
    """
    at_least_1(in_channels=in_channels, stride=stride, patch_size=patch_size)
    match stem:
        case "strided":
            convs = LinearChain(
                nn.Conv2d(in_channels, dim // 2, kernel_size=3, stride=stride, padding=1),
                nn.Conv2d(dim // 2, dim, kernel_size=3, stride=stride, padding=1),
            )
            return nn.Sequential(OrderedDict(convs=convs))
        case "patchify":
            convs = LinearChain(
                nn.Conv2d(in_channels, dim // 4, kernel_size=3, padding=1),
                nn.Conv2d(dim // 4, dim // 2, kernel_size=3, padding=1),
                nn.Conv2d(dim // 2, dim, kernel_size=patch_size, stride=patch_size),
            )
            return nn.Sequential(OrderedDict(convs=convs, act=nn.GELU(), norm=BatchNorm2d(dim)))
        case _:
            raise ValueError(f"stem must be 'strided' or 'patchify', got {stem!r}")


def channels_last(x_bchw: Tensor) -> Tensor:
    """The same images with their channels last in memory, which all layers behind them keep.

    So stored, transposed convolutions, the largest part of the work, run about 1.5 times as fast on a CPU, and
    tensor cores need no transposition. For an image it costs next to nothing.

    Raises:
        ValueError: If it is not a batch of images.
    """
    if x_bchw.ndim != 4:
        raise ValueError(f"a network takes a batch of images [b, c, h, w], got {list(x_bchw.shape)}")
    # Where there is one channel, both formats are the same, and layers can't see which is meant but by the strides.
    if x_bchw.shape[1] == 1:
        return x_bchw.clone(memory_format=torch.channels_last)
    return x_bchw.contiguous(memory_format=torch.channels_last)
