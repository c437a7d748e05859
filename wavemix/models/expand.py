"""Decides how a block brings the result of a level back to the size above it; does not know what made that result.

Shapes: b = batch, f = channels before, o = channels after, u, v = sides before; the factor multiplies both sides.
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from wavemix.models.wavelet import HAAR, haar_idwt, idwt, wavelet_filters

ExpandName = Literal["deconv", "bilinear", "idwt", "pixel_shuffle"]


class InverseHaar(nn.Module):
    """Takes the channels as the sub-bands of a Haar transform and inverts it."""

    def forward(self, x_bfuv: Tensor) -> Tensor:
        """See `haar_idwt`."""
        return haar_idwt(x_bfuv)


class InverseWavelet(nn.Module):
    """The same for another wavelet: ``2u - taps + 2`` rows."""

    def __init__(self, name: str) -> None:
        """Take the filters of the wavelet called so by PyWavelets."""
        super().__init__()
        self.wavelet = wavelet_filters(name)

    def forward(self, x_bfuv: Tensor) -> Tensor:
        """See `idwt`."""
        return idwt(x_bfuv, self.wavelet)


class ShuffleConv(nn.Module):
    """Four channels to one of twice the size, and a 3x3 convolution, as in WaveMixSR-V2."""

    def __init__(self, channels: int) -> None:
        """Make the convolution, which keeps the channels."""
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, x_bfuv: Tensor) -> Tensor:
        """``[b, 4o, u, v]`` to ``[b, o, 2u, 2v]``."""
        y_bohw: Tensor = self.conv(F.pixel_shuffle(x_bfuv, 2))
        return y_bohw


def expand_channels(expand: ExpandName, *, out_channels: int, ff_dim: int | None, default_ff_dim: int) -> int:
    """How many channels an expansion takes (f).

    Args:
        expand: One of the names of `build_expand`.
        out_channels: Channels of the result (o).
        ff_dim: Channels asked for, or None.
        default_ff_dim: What None stands for, where any number will do.

    Raises:
        ValueError: If the name is unknown, or ff_dim is not the only number that the expansion can take.
    """
    match expand:
        case "deconv":
            return default_ff_dim if ff_dim is None else ff_dim
        case "bilinear":
            in_channels = out_channels
        case "idwt" | "pixel_shuffle":
            in_channels = 4 * out_channels
        case _:
            raise ValueError(f"expand must be 'deconv', 'bilinear', 'idwt' or 'pixel_shuffle', got {expand!r}")
    if ff_dim not in (None, in_channels):
        raise ValueError(f"expand={expand!r} takes {in_channels} channels here, so ff_dim can't be {ff_dim}")
    return in_channels


def build_expand(expand: ExpandName, *, in_channels: int, out_channels: int, factor: int, wavelet: str) -> nn.Module:
    """The module that multiplies both sides by a factor.

    ``"deconv"``: transposed convolution with kernel ``factor + 2``, stride ``factor`` and padding 1, as in all
    published networks. ``"bilinear"``: interpolation, without weights. ``"idwt"``: the inverse of the wavelet, without
    weights, from four channels to one. ``"pixel_shuffle"``: four channels to one of twice the size, and a 3x3
    convolution, as in WaveMixSR-V2.

    Args:
        expand: One of these names.
        in_channels: Channels that it takes, by `expand_channels` (f).
        out_channels: Channels of the result (o).
        factor: 1, 2, 4, 8 or 16.
        wavelet: ``"haar"`` or a name of PyWavelets, for ``"idwt"``.

    Returns:
        ``[b, f, u, v] -> [b, o, factor * u, factor * v]``; not exactly twice as large for the inverse of wavelets with
        more than two taps.

    Raises:
        ValueError: If the factor is not 2 for ``"idwt"`` or ``"pixel_shuffle"``.

    Source: wavemix 0.2.4; WaveMix (arXiv 2205.14375), sections 4.5 and 4.6 and table 14; the authors' WaveMixSRV2.py.
    """
    if expand in ("idwt", "pixel_shuffle") and factor != 2:
        raise ValueError(
            f"expand={expand!r} doubles the size, and the mixer and levels of this block ask for a factor of {factor}"
        )
    match expand:
        case "deconv":
            return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=factor + 2, stride=factor, padding=1)
        case "bilinear":
            return nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False)
        case "idwt":
            return InverseHaar() if wavelet in HAAR else InverseWavelet(wavelet)
        case "pixel_shuffle":
            return ShuffleConv(out_channels)
