"""Decides what may stand in the place of the wavelet transform in a block; does not know the layers around it.

A mixer is a module that maps ``[b, c, h, w]`` to ``[b, n * c, u, v]`` with u, v = h, w divided by 1 or 2; `PROPORTIONS`
names n and that divisor. The first c channels are the coarse map, which the next level takes.

Shapes: b = batch, c = channels, h, w = height, width, u, v = sides of the result.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wavemix.models.wavelet import HAAR, dwt, haar_dwt, wavelet_filters

MixerName = Literal["dwt", "none", "fourier", "random", "maxpool", "lifting"]


class HaarMixer(nn.Module):
    """The Haar transform: four sub-bands of half the size."""

    def forward(self, x_bchw: Tensor) -> Tensor:
        """See `haar_dwt`."""
        return haar_dwt(x_bchw)


class WaveletMixer(nn.Module):
    """Another wavelet; with f taps, the sides of the result are ``(h + f - 1) // 2`` (table 13)."""

    def __init__(self, name: str) -> None:
        """Take the filters of the wavelet called so by PyWavelets."""
        super().__init__()
        self.wavelet = wavelet_filters(name)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """See `dwt`."""
        return dwt(x_bchw, self.wavelet)


class Unmixed(nn.Module):
    """No mixing at all: the feed-forward network works at full resolution (section 4.6)."""

    def forward(self, x_bchw: Tensor) -> Tensor:
        return x_bchw


class FourierMixer(nn.Module):
    """The real part of the 2-D discrete Fourier transform of each channel, scaled to keep the energy (section 4.6)."""

    def forward(self, x_bchw: Tensor) -> Tensor:
        # The transform exists in single and double precision alone.
        wide_bchw = x_bchw if x_bchw.dtype == torch.float64 else x_bchw.float()
        spectrum_bchw: Tensor = torch.fft.fft2(wide_bchw, norm="ortho").real
        return spectrum_bchw.to(x_bchw.dtype)


class RandomMixer(nn.Module):
    """Four fixed filters of the size of Haar's, drawn once from a normal distribution, of length one (section 4.6).

    They are the same in every block and in every run: a network is not saved with them.
    """

    def __init__(self) -> None:
        """Draw the filters, from a seed of their own."""
        super().__init__()
        draws = torch.randn(4, 4, generator=torch.Generator("cpu").manual_seed(0), device="cpu", dtype=torch.float64)
        filters = draws / draws.norm(dim=1, keepdim=True)
        self.filters = nn.Buffer(torch.tensor(filters.tolist()).view(4, 1, 2, 2), persistent=False)

    def forward(self, x_bchw: Tensor) -> Tensor:
        batch, channels, height, width = x_bchw.shape
        bands = F.conv2d(x_bchw.reshape(batch * channels, 1, height, width), self.filters, stride=2)
        return bands.view(batch, channels, 4, height // 2, width // 2).transpose(1, 2).flatten(1, 2)


class MaxPoolMixer(nn.Module):
    """The largest value of each 2x2 square (section 4.6)."""

    def forward(self, x_bchw: Tensor) -> Tensor:
        return F.max_pool2d(x_bchw, 2)


class LiftingMixer(nn.Module):
    """A wavelet that is learned: the lifting scheme with three taps a step, Haar's at the start (section 4.6).

    Along an axis, the odd values are predicted from the even ones, and the even ones updated with what the prediction
    missed; whatever the taps become, no information is lost. The taps are shared by all channels and levels.

    Source: the scheme of Deep Adaptive Wavelet Network (Bastidas Rodriguez et al., WACV 2020), which the paper cites,
    with linear steps; the authors published no code for this ablation.
    """

    def __init__(self) -> None:
        """Make the taps of both axes, height first."""
        super().__init__()
        self.predict = nn.Parameter(torch.tensor([[0.0, 1.0, 0.0]] * 2))
        self.update = nn.Parameter(torch.tensor([[0.0, 0.5, 0.0]] * 2))

    def forward(self, x_bchw: Tensor) -> Tensor:
        low_bcwu, high_bcwu = self._lift(x_bchw.transpose(2, 3), axis=0)
        ll, cv = self._lift(low_bcwu.transpose(2, 3), axis=1)
        ch, cd = self._lift(high_bcwu.transpose(2, 3), axis=1)
        return torch.cat((ll, torch.stack((ch, cv, cd), dim=2).flatten(1, 2)), dim=1)

    def _lift(self, x_bchw: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """Coarse values and details along the last dimension, scaled like an orthonormal wavelet's."""
        even, odd = x_bchw[..., ::2], x_bchw[..., 1::2]
        detail = odd - _three_taps(even, self.predict[axis])
        coarse = even + _three_taps(detail, self.update[axis])
        return coarse * 2**0.5, detail * -(0.5**0.5)


def _three_taps(x_bchw: Tensor, taps_3: Tensor) -> Tensor:
    batch, channels, height, width = x_bchw.shape
    rows = x_bchw.reshape(batch * channels, 1, height, width)
    return F.conv2d(rows, taps_3.to(x_bchw.dtype).view(1, 1, 1, 3), padding=(0, 1)).view(x_bchw.shape)


MIXERS: Final[Mapping[str, Callable[[], nn.Module]]] = {
    "dwt": HaarMixer,
    "none": Unmixed,
    "fourier": FourierMixer,
    "random": RandomMixer,
    "maxpool": MaxPoolMixer,
    "lifting": LiftingMixer,
}


# Bands made of one channel, and by how much the sides shrink.
PROPORTIONS: Final[Mapping[str, tuple[int, int]]] = {
    "dwt": (4, 2),
    "none": (1, 1),
    "fourier": (1, 1),
    "random": (4, 2),
    "maxpool": (1, 2),
    "lifting": (4, 2),
}


def build_mixer(mixer: MixerName, wavelet: str) -> nn.Module:
    """The mixer of a block.

    Args:
        mixer: What mixes.
        wavelet: Which wavelet the mixer ``"dwt"`` takes: ``"haar"``, or a name of PyWavelets.

    Raises:
        ValueError: If a name is unknown, or a wavelet is given to a mixer that takes none.
        ModuleNotFoundError: If the wavelet needs PyWavelets and that is not installed.
    """
    if mixer not in MIXERS:
        raise ValueError(f"mixer must be one of {', '.join(MIXERS)}, got {mixer!r}")
    if wavelet in HAAR:
        return MIXERS[mixer]()
    if mixer != "dwt":
        raise ValueError(f"the mixer {mixer!r} takes no wavelet, got {wavelet!r}")
    return WaveletMixer(wavelet)
