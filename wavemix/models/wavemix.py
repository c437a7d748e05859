"""Decides how stem, blocks and head form a WaveMix network; does not know how its input was made or what it is for.

Shapes: b = batch, c = image channels, h, w = height, width of the image; d = dim, u, v = sides behind the stem,
k = classes.
"""

from collections import OrderedDict
from typing import Literal

from torch import Tensor, nn

from wavemix.models.blocks import WaveMixBlock


class WaveMixClassifier(nn.Module):
    """Image classifier: stem, ``depth`` residual WaveMix blocks, global average, linear layer.

    With ``levels=1`` this is WaveMix-Lite.

    Source: WaveMix (arXiv 2205.14375), section 3.1; the function and parameter count of ``classification.WaveMix`` in
    the authors' package wavemix 0.2.4. Deliberate differences: every image size that survives the stem is accepted
    (see `WaveMixBlock`), the image may have any number of channels, and unknown names are refused, where theirs takes
    any unknown stem for the patches and any unknown level for 1.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        dim: int,
        depth: int,
        levels: int = 1,
        mult: int = 2,
        ff_dim: int | None = None,
        dropout: float = 0.0,
        stem: Literal["strided", "patchify"] = "strided",
        stride: int = 1,
        patch_size: int = 4,
        in_channels: int = 3,
    ) -> None:
        """Make the network with torch's default initialisation.

        Args:
            num_classes: Number of classes (k).
            dim: Channels of the blocks (d); divisible by 4.
            depth: Number of blocks, at least 1.
            levels: Levels of the Haar transform in every block, 1 to 4.
            mult: Width of a block's hidden layer, in multiples of dim.
            ff_dim: Channels before a block's transposed convolution; None stands for dim.
            dropout: Probability of dropping a hidden value in the blocks, in [0, 1].
            stem: ``"strided"`` (`strided_stem`) or ``"patchify"`` (`patchify_stem`).
            stride: Stride of each of the two convolutions of the strided stem; the other stem does not read it.
            patch_size: Side of a patch of the patchify stem; the other stem does not read it.
            in_channels: Channels of the image (c).

        Raises:
            ValueError: If stem is unknown, depth is below 1, dim is not a positive multiple of 4 or levels is outside
                1..4.
        """
        super().__init__()
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}")
        self.blocks = nn.ModuleList(
            WaveMixBlock(dim, levels=levels, mult=mult, ff_dim=ff_dim, dropout=dropout) for _ in range(depth)
        )
        match stem:
            case "strided":
                self.stem = strided_stem(in_channels, dim, stride=stride)
            case "patchify":
                self.stem = patchify_stem(in_channels, dim, patch_size=patch_size)
            case _:
                raise ValueError(f"stem must be 'strided' or 'patchify', got {stem!r}")
        self.head = nn.Linear(dim, num_classes)

    def forward_features(self, x_bchw: Tensor) -> Tensor:
        """The feature map behind the last block.

        Args:
            x_bchw: Images with ``in_channels`` channels, normalised as in training.

        Returns:
            ``[b, d, u, v]``: u and v are h and w divided by ``stride**2`` (rounded up), or by ``patch_size`` (down).
        """
        x_bduv: Tensor = self.stem(x_bchw)
        for block in self.blocks:
            x_bduv = x_bduv + block(x_bduv)
        return x_bduv

    def forward_head(self, x_bduv: Tensor) -> Tensor:
        """The class scores of a feature map.

        Args:
            x_bduv: Feature map with ``dim`` channels and any height and width.

        Returns:
            ``[b, k]``: unnormalised log-probabilities.
        """
        logits_bk: Tensor = self.head(x_bduv.mean(dim=(2, 3)))
        return logits_bk

    def forward(self, x_bchw: Tensor) -> Tensor:
        """``forward_head(forward_features(x))``: images ``[b, c, h, w]`` to class scores ``[b, k]``."""
        return self.forward_head(self.forward_features(x_bchw))


def strided_stem(in_channels: int, dim: int, *, stride: int) -> nn.Sequential:
    """Two 3x3 convolutions with nothing between them, for small images; the map shrinks by ``stride**2``.

    Args:
        in_channels: Channels of the image.
        dim: Channels of the feature map; even.
        stride: Stride of both convolutions: 1 keeps the size, 2 quarters it.

    Source: wavemix 0.2.4, ``initial_conv="strided"``.
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(in_channels, dim // 2, kernel_size=3, stride=stride, padding=1),
            conv2=nn.Conv2d(dim // 2, dim, kernel_size=3, stride=stride, padding=1),
        )
    )


def patchify_stem(in_channels: int, dim: int, *, patch_size: int) -> nn.Sequential:
    """Two 3x3 convolutions at full resolution, then patches, GELU and BN, for large images.

    Args:
        in_channels: Channels of the image.
        dim: Channels of the feature map; divisible by 4.
        patch_size: Side of the square patches; pixels at the bottom and the right that fill no patch are dropped.

    Source: wavemix 0.2.4, ``initial_conv="pachify"`` (as it is spelled there).
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(in_channels, dim // 4, kernel_size=3, padding=1),
            conv2=nn.Conv2d(dim // 4, dim // 2, kernel_size=3, padding=1),
            patches=nn.Conv2d(dim // 2, dim, kernel_size=patch_size, stride=patch_size),
            act=nn.GELU(),
            norm=nn.BatchNorm2d(dim),
        )
    )
