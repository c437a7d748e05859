"""Decides how a WaveMix block mixes a feature map at one to four scales; does not know what stands before or after it.

Shapes: b = batch, d = dim, c = d/4 reduced channels, h, w = height, width; q = 4c sub-band channels, u, v = sides of a
level, halved from level to level.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from wavemix.models.wavelet import haar_dwt


class WaveMixBlock(nn.Module):
    """Token mixing by a multi-level Haar transform and one feed-forward network per level.

    A 1x1 convolution reduces the d channels to d/4, so that the four sub-bands of a level have d channels again. Level
    k + 1 transforms the ll of level k. From the deepest level to the finest, the sub-bands of a level, joined with the
    result of the level below, pass through ``1x1 conv -> GELU -> dropout -> 1x1 conv -> transposed conv (x2) -> BN``.

    The block adds no residual: the networks differ in what they add, so they write ``x + block(x)`` themselves.

    Source: WaveMix (arXiv 2205.14375), section 3.2 and appendix A; the arithmetic and parameter count of
    ``Level{1,2,3,4}Waveblock`` in the authors' package wavemix 0.2.4. Deliberate differences: each level is computed
    once, where theirs recomputes the levels above it; and maps whose sides are not divisible by ``2**levels``, on
    which theirs fails, are padded.
    """

    def __init__(
        self, dim: int, *, levels: int = 1, mult: int = 2, ff_dim: int | None = None, dropout: float = 0.0
    ) -> None:
        """Make the convolutions with torch's default initialisation.

        Args:
            dim: Channels of the input and the output (d); divisible by 4.
            levels: Levels of the transform, 1 to 4.
            mult: Width of the hidden layer at every level, in multiples of dim.
            ff_dim: Channels between the second 1x1 convolution and the transposed one; None stands for dim.
            dropout: Probability of dropping a hidden value, in [0, 1].

        Raises:
            ValueError: If dim is not a positive multiple of 4 or levels is outside 1..4.
        """
        super().__init__()
        if dim < 4 or dim % 4:
            raise ValueError(f"dim must be a positive multiple of 4 (one part for each sub-band), got {dim}")
        if levels not in range(1, 5):
            raise ValueError(f"levels must be 1, 2, 3 or 4, got {levels}")
        self.reduce = nn.Conv2d(dim, dim // 4, kernel_size=1)
        # Index 0 is the finest level. All but the finest hand dim/2 channels up; all but the deepest receive them.
        self.feedforwards = nn.ModuleList(
            _feedforward(
                in_channels=dim if level == levels else dim + dim // 2,
                hidden_channels=mult * dim,
                ff_channels=dim if ff_dim is None else ff_dim,
                out_channels=dim if level == 1 else dim // 2,
                dropout=dropout,
            )
            for level in range(1, levels + 1)
        )

    def forward(self, x_bdhw: Tensor) -> Tensor:
        """Mix a feature map over space and channels.

        Sides not divisible by ``2**levels`` are padded with zeros at the bottom and the right, and the result is
        cropped: ``block(x) == block(pad(x))[..., :h, :w]``. In training, the batch statistics include the padding.

        Args:
            x_bdhw: Feature map with ``dim`` channels and any height and width.

        Returns:
            ``[b, d, h, w]``, without a residual.
        """
        height, width = x_bdhw.shape[2:]
        step = 2 ** len(self.feedforwards)
        if height % step or width % step:
            x_bdhw = nn.functional.pad(x_bdhw, (0, -width % step, 0, -height % step))
        ll_bcuv = self.reduce(x_bdhw)
        bands_by_level = []
        for _ in self.feedforwards:
            bands_bquv = haar_dwt(ll_bcuv)
            bands_by_level.append(bands_bquv)
            ll_bcuv = bands_bquv[:, : bands_bquv.shape[1] // 4]

        *finer_levels, (bands_bquv, feedforward) = zip(bands_by_level, self.feedforwards, strict=True)
        mixed: Tensor = feedforward(bands_bquv)
        for bands_bquv, feedforward in reversed(finer_levels):
            mixed = feedforward(torch.cat((bands_bquv, mixed), dim=1))
        return mixed[..., :height, :width]


def _feedforward(
    *, in_channels: int, hidden_channels: int, ff_channels: int, out_channels: int, dropout: float
) -> nn.Sequential:
    """Mixes the channels of one level and doubles its height and width."""
    return nn.Sequential(
        OrderedDict(
            expand=nn.Conv2d(in_channels, hidden_channels, kernel_size=1),
            act=nn.GELU(),
            dropout=nn.Dropout(dropout),
            project=nn.Conv2d(hidden_channels, ff_channels, kernel_size=1),
            upsample=nn.ConvTranspose2d(ff_channels, out_channels, kernel_size=4, stride=2, padding=1),
            norm=nn.BatchNorm2d(out_channels),
        )
    )
