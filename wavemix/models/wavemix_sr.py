"""Decides how WaveMix blocks sharpen an enlarged image; does not know colour conversion, which the task does.

Shapes: b = batch, h, w = height, width of the small image, s = scale, d = dim. Channels 0, 1, 2 are Y, Cb, Cr.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wavemix.models.blocks import WaveMixBlock, add_residuals
from wavemix.models.checks import at_least_1
from wavemix.models.expand import ExpandName
from wavemix.models.linear import LinearChain
from wavemix.models.stems import channels_last

Interpolation = Literal["bicubic", "bilinear"]


class WaveMixSR(nn.Module):
    """Super-resolution: the picture is enlarged by interpolation, and its brightness goes through WaveMix blocks.

    Cb and Cr are enlarged and left as they are. Nothing clamps the result.

    Source: WaveMixSR (arXiv 2307.00430); ``wavemixsr/*.py`` of the authors' repository, where the interpolation
    differs from file to file: bicubic in model.py, bsd100_df2k.py, bsd100patch_df2k.py and urban100_div2k.py, bilinear
    in train_div2k.py, bsd100_div2k.py, set5_div2k.py, set14_div2k.py and test.py. Deliberate difference: sides that are
    odd after enlarging, on which theirs fails, are padded and cropped in the blocks. Ours alone: ``global_residual``.
    """

    def __init__(
        self,
        *,
        scale: Literal[2, 3, 4] = 2,
        dim: int = 144,
        depth: int = 4,
        mult: int = 1,
        ff_dim: int | None = None,
        dropout: float = 0.3,
        interpolation: Interpolation = "bicubic",
        global_residual: bool = False,
        checkpoint_blocks: bool = False,
    ) -> None:
        """Make the network with torch's default initialisation.

        Args:
            scale: Factor by which height and width grow (s); the weights do not depend on it.
            dim: Channels of the blocks (d); divisible by 4.
            depth: Number of blocks, at least 1.
            mult: Width of a block's hidden layer, in multiples of dim.
            ff_dim: Channels before a block's transposed convolution; None stands for dim.
            dropout: Probability of dropping a hidden value in the blocks, in [0, 1].
            interpolation: ``"bicubic"`` or ``"bilinear"``, torch's, without antialiasing.
            global_residual: Whether to add the enlarged Y to the result (`Luma`); False in the paper.
            checkpoint_blocks: Whether to keep less of each block in training and compute it again (`add_residuals`).

        Raises:
            ValueError: If scale or interpolation is unknown, depth is below 1, or dim is not a multiple of 4.
        """
        super().__init__()
        at_least_1(depth=depth)
        if scale not in (2, 3, 4):
            raise ValueError(f"scale must be 2, 3 or 4, got {scale}")
        if interpolation not in ("bicubic", "bilinear"):
            raise ValueError(f"interpolation must be 'bicubic' or 'bilinear', got {interpolation!r}")
        self.scale = scale
        self.interpolation = interpolation
        self.luma = Luma(dim, depth, mult, ff_dim, dropout, "deconv", global_residual, checkpoint_blocks)

    def forward(self, x_b3hw: Tensor) -> Tensor:
        """Enlarge images.

        Args:
            x_b3hw: YCbCr images in [0, 1].

        Returns:
            ``[b, 3, s*h, s*w]``: YCbCr, about in [0, 1].
        """
        return _sharpened(enlarge(x_b3hw, self.scale, self.interpolation), self.luma)


class WaveMixSRV2(nn.Module):
    """Super-resolution in stages of 2, each a WaveMixSR of its own, with the pixel-shuffle block.

    Source: WaveMixSRV2.py of the authors' repository, with the block that it defines and does not use. Deliberate
    difference: a stage for each factor of two, where theirs has scale/2 of them, so that 8 becomes 16.
    """

    def __init__(
        self,
        *,
        scale: Literal[2, 4, 8] = 2,
        dim: int = 144,
        blocks: int = 2,
        mult: int = 1,
        dropout: float = 0.3,
        interpolation: Interpolation = "bicubic",
        global_residual: bool = False,
        checkpoint_blocks: bool = False,
    ) -> None:
        """Make the network with torch's default initialisation.

        Args:
            scale: Factor by which height and width grow (s): 2, 4 or 8.
            dim: Channels of the blocks (d); divisible by 4.
            blocks: Number of blocks in a stage, at least 1.
            mult: Width of a block's hidden layer, in multiples of dim.
            dropout: Probability of dropping a hidden value in the blocks, in [0, 1].
            interpolation: ``"bicubic"`` or ``"bilinear"``, torch's, without antialiasing.
            global_residual: Whether to add the enlarged Y to the result (`Luma`); False in the paper.
            checkpoint_blocks: Whether to keep less of each block in training and compute it again (`add_residuals`).

        Raises:
            ValueError: If scale or interpolation is unknown, blocks is below 1, or dim is not a multiple of 4.
        """
        super().__init__()
        at_least_1(blocks=blocks)
        if scale not in (2, 4, 8):
            raise ValueError(f"scale must be 2, 4 or 8, got {scale}")
        if interpolation not in ("bicubic", "bilinear"):
            raise ValueError(f"interpolation must be 'bicubic' or 'bilinear', got {interpolation!r}")
        self.interpolation = interpolation
        self.stages = nn.ModuleList(
            Luma(dim, blocks, mult, None, dropout, "pixel_shuffle", global_residual, checkpoint_blocks)
            for _ in range(scale.bit_length() - 1)
        )

    def forward(self, x_b3hw: Tensor) -> Tensor:
        """Enlarge YCbCr images ``[b, 3, h, w]`` in [0, 1] to ``[b, 3, s*h, s*w]``, about in [0, 1]."""
        for luma in self.stages:
            x_b3hw = _sharpened(enlarge(x_b3hw, 2, self.interpolation), luma)
        return x_b3hw


class Luma(nn.Module):
    """Stem, blocks and tail for an enlarged Y: ``[b, 1, h, w]`` to the same shape.

    With ``global_residual`` they make what is to be added to it, and the last layer starts at zero: an untrained
    network is the interpolation then.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        mult: int,
        ff_dim: int | None,
        dropout: float,
        expand: ExpandName,
        global_residual: bool,
        checkpoint_blocks: bool,
    ) -> None:
        """Make the layers."""
        super().__init__()
        self.global_residual = global_residual
        self.checkpoint_blocks = checkpoint_blocks
        self.stem = LinearChain(
            nn.Conv2d(1, dim // 2, kernel_size=3, padding=1), nn.Conv2d(dim // 2, dim, kernel_size=3, padding=1)
        )
        self.blocks = nn.ModuleList(
            WaveMixBlock(dim, mult=mult, ff_dim=ff_dim, dropout=dropout, expand=expand) for _ in range(depth)
        )
        self.tail = LinearChain(
            nn.Conv2d(dim, dim // 2, kernel_size=3, padding=1), nn.Conv2d(dim // 2, 1, kernel_size=1)
        )
        if global_residual:
            for parameter in self.tail[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, y_b1hw: Tensor) -> Tensor:
        x_bdhw = self.stem(channels_last(y_b1hw))
        sharp_b1hw: Tensor = self.tail(add_residuals(x_bdhw, self.blocks, checkpoint_blocks=self.checkpoint_blocks))
        return y_b1hw + sharp_b1hw if self.global_residual else sharp_b1hw


def enlarge(x_bchw: Tensor, scale: int, interpolation: Interpolation) -> Tensor:
    """Images made larger by interpolation: ``[b, c, s*h, s*w]``; the baseline that a network is to beat."""
    return F.interpolate(x_bchw, scale_factor=scale, mode=interpolation, align_corners=False)


def _sharpened(x_b3hw: Tensor, luma: nn.Module) -> Tensor:
    y_b1hw = luma(x_b3hw[:, :1])
    return torch.cat((y_b1hw, x_b3hw[:, 1:].to(y_b1hw.dtype)), dim=1)
