"""Decides how one level of a 2-D wavelet transform is computed; knows no network and holds no state.

Shapes: b = batch, c = channels, h, w = height, width of the finer map; q = 4c sub-band channels, u, v = sides of the
coarser map (h/2, w/2 for Haar), f = taps of a filter.
Sub-bands by their PyWavelets names: ll = cA, ch = cH (top minus bottom), cv = cV (left minus right), cd = cD.
"""

# Why additions of views, and no convolution: milliseconds for forward | forward and backward, float32, two CPU cores,
# torch 2.13, medians of one interleaved run (`benchmarks/haar.py` repeats the first line and the last):
#
#                                         16x64x56x56     128x36x32x32     32x16x8x8
#     pytorch_wavelets                     9.2 | 23.4     27.6 | 39.2     0.66 | 1.59
#     grouped 2x2 convolution, stride 2    5.1 | 20.2     16.6 | 25.5     0.30 | 0.73
#     pixel_unshuffle and a 4x4 product    5.6 | 21.2     20.3 | 32.1     0.27 | 0.44
#     pixel_unshuffle and additions        8.8 | 19.6     21.5 | 21.3     0.12 | 0.41
#     x[..., ::2, ::2] and additions       4.7 | 13.0     11.9 | 20.1     0.10 | 0.45
#     a hand-written autograd.Function     2.5 |  9.1      3.7 | 11.4     0.15 | 0.41
#     unbind and additions (this file)     3.3 | 10.3      5.0 | 11.7     0.07 | 0.35
#
# A slice's gradient fills a tensor of full size with zeros, four times over; the gradient of unbind is one stack. The
# hand-written function gains little in training and loses on small maps, while these lines have double backward,
# forward mode, vmap, compile and export for nothing. Additions also stay float32 where a convolution may round to TF32.

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

HAAR: Final = ("haar", "db1")
"""The names of the wavelet that has a path of its own."""


def haar_dwt(x_bchw: Tensor) -> Tensor:
    """The four Haar sub-bands of one level, in the channel order that published weights expect.

    For each 2x2 square with rows ``p q`` and ``r s``: ll = (p+q+r+s)/2, ch = (p+q-r-s)/2, cv = (p-q+r-s)/2 and
    cd = (p-q-r+s)/2. The matrix is orthogonal, so the gradient is the inverse transform.

    Args:
        x_bchw: Feature map, any float dtype, device and memory format; h and w even.

    Returns:
        ``[b, 4c, h/2, w/2]``, same dtype, contiguous: the c channels of ll, then the details interleaved per channel
        (ch, cv, cd of channel 0, then of channel 1, ...). Orthonormal: the energy of the input is kept.

    Raises:
        ValueError: If h or w is odd.

    Source: WaveMix (arXiv 2205.14375), section 3.2; equals ``pywt.dwt2(x, "haar", mode="zero")``.
    """
    batch, channels, height, width = x_bchw.shape
    if height % 2 or width % 2:
        raise ValueError(f"haar_dwt needs even sides, got {height}x{width}")
    top_bcuv2, bottom_bcuv2 = x_bchw.view(batch, channels, height // 2, 2, width // 2, 2).unbind(3)
    # Halved between the two stages, in place on what was just made: no intermediate leaves the range of the results,
    # which matters in float16.
    sum_left_bcuv, sum_right_bcuv = (top_bcuv2 + bottom_bcuv2).mul_(0.5).unbind(4)
    diff_left_bcuv, diff_right_bcuv = (top_bcuv2 - bottom_bcuv2).mul_(0.5).unbind(4)
    details_bc3uv = torch.stack(
        (diff_left_bcuv + diff_right_bcuv, sum_left_bcuv - sum_right_bcuv, diff_left_bcuv - diff_right_bcuv), dim=2
    )
    return torch.cat((sum_left_bcuv + sum_right_bcuv, details_bc3uv.flatten(1, 2)), dim=1)


def haar_idwt(bands_bquv: Tensor) -> Tensor:
    """The feature map whose sub-bands are given: the inverse (and the transpose) of `haar_dwt`.

    Args:
        bands_bquv: Sub-bands in the channel order of `haar_dwt`, any float dtype, device and memory format.

    Returns:
        ``[b, q/4, 2u, 2v]``, same dtype, contiguous.

    Raises:
        ValueError: If the number of channels is not divisible by 4.

    Source: equals ``pywt.idwt2((cA, (cH, cV, cD)), "haar", mode="zero")``.
    """
    batch, num_bands, height, width = bands_bquv.shape
    if num_bands % 4:
        raise ValueError(f"haar_idwt needs four sub-bands per channel, got {num_bands} channels")
    channels = num_bands // 4
    ll_bcuv = bands_bquv[:, :channels]
    ch_bcuv, cv_bcuv, cd_bcuv = bands_bquv[:, channels:].view(batch, channels, 3, height, width).unbind(2)
    rows_bcu2v = torch.stack((ll_bcuv + ch_bcuv, ll_bcuv - ch_bcuv), dim=3).mul_(0.5)
    steps_bcu2v = torch.stack((cv_bcuv + cd_bcuv, cv_bcuv - cd_bcuv), dim=3).mul_(0.5)
    return torch.stack((rows_bcu2v + steps_bcu2v, rows_bcu2v - steps_bcu2v), dim=5).flatten(4).flatten(2, 3)


def haar_then_pointwise(x_bchw: Tensor, weight_oq11: Tensor, bias_o: Tensor | None) -> Tensor:
    """``conv2d(haar_dwt(x), weight, bias)`` as the one convolution that it is: 2x2, stride 2.

    Its kernel is the weight times the matrix of the transform, which is the inverse transform of the weight, taken for
    a map of one pixel. No sub-band is ever written.

    Args:
        x_bchw: Feature map, any float dtype, device and memory format; h and w even.
        weight_oq11: Weight of a 1x1 convolution for the channels of `haar_dwt`.
        bias_o: Its bias, or None.

    Returns:
        ``[b, o, h/2, w/2]``.
    """
    return F.conv2d(x_bchw, haar_idwt(weight_oq11), bias_o, stride=2)


def haar_ll(x_bchw: Tensor) -> Tensor:
    """The sub-band ll of `haar_dwt` alone: half the sum of each 2x2 square, ``[b, c, h/2, w/2]``."""
    return F.avg_pool2d(x_bchw, 2, divisor_override=2)


@dataclass(frozen=True)
class Wavelet:
    """The four filters of a wavelet, each of the same even number of taps (f)."""

    analysis_low: tuple[float, ...]
    analysis_high: tuple[float, ...]
    synthesis_low: tuple[float, ...]
    synthesis_high: tuple[float, ...]


def wavelet_filters(name: str) -> Wavelet:
    """The filters of a discrete wavelet, from PyWavelets, which pytorch_wavelets brings with it.

    Args:
        name: A name of PyWavelets, such as ``"db2"``, ``"bior1.3"`` or ``"coif1"``.

    Raises:
        ValueError: If there is no such wavelet.
        ModuleNotFoundError: If PyWavelets is not installed (the extra ``wavelets`` of this package).
    """
    try:
        import pywt  # noqa: PLC0415  (an ablation needs it, no other network)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"the wavelet {name!r} needs PyWavelets: pip install 'wavemix-train[wavelets]'"
        ) from error
    if name not in pywt.wavelist(kind="discrete"):
        raise ValueError(f"wavelet must be 'haar' or a discrete wavelet of PyWavelets, got {name!r}")
    return Wavelet(*(tuple(taps) for taps in pywt.Wavelet(name).filter_bank))


def dwt(x_bchw: Tensor, wavelet: Wavelet) -> Tensor:
    """The four sub-bands of one level of any wavelet, in the channel order of `haar_dwt`.

    Args:
        x_bchw: Feature map, any float dtype and device, any sides.
        wavelet: Its filters.

    Returns:
        ``[b, 4c, u, v]`` with u = (h + f - 1) // 2: longer filters reach over the edge, where the map is zero.

    Source: equals ``pywt.dwt2(x, name, mode="zero")`` and ``pytorch_wavelets.DWTForward(J=1, mode="zero")``, which
    is not called, since it breaks torch.compile's graph, fails in its backward pass under autocast and knows one dtype.
    """
    low_f, high_f = wavelet.analysis_low, wavelet.analysis_high
    rows_bcuw = _analyse(x_bchw.transpose(2, 3), low_f, high_f)  # filtered along h first: low, high
    lows, highs = (_analyse(rows.transpose(2, 3), low_f, high_f) for rows in rows_bcuw)
    details_bc3uv = torch.stack((highs[0], lows[1], highs[1]), dim=2)
    return torch.cat((lows[0], details_bc3uv.flatten(1, 2)), dim=1)


def idwt(bands_bquv: Tensor, wavelet: Wavelet) -> Tensor:
    """The inverse of `dwt` for an orthogonal or biorthogonal wavelet.

    Args:
        bands_bquv: Sub-bands in the channel order of `haar_dwt`, any float dtype and device.
        wavelet: Its filters.

    Returns:
        ``[b, q/4, 2u - f + 2, 2v - f + 2]``: one row or column more than the map had where that was odd.

    Source: equals ``pywt.idwt2((cA, (cH, cV, cD)), name, mode="zero")``.
    """
    low_f, high_f = wavelet.synthesis_low, wavelet.synthesis_high
    batch, num_bands, height, width = bands_bquv.shape
    channels = num_bands // 4
    ll_bcuv = bands_bquv[:, :channels]
    ch_bcuv, cv_bcuv, cd_bcuv = bands_bquv[:, channels:].reshape(batch, channels, 3, height, width).unbind(2)
    low_bcuw = _synthesise(ll_bcuv, cv_bcuv, low_f, high_f)
    high_bcuw = _synthesise(ch_bcuv, cd_bcuv, low_f, high_f)
    return _synthesise(low_bcuw.transpose(2, 3), high_bcuw.transpose(2, 3), low_f, high_f).transpose(2, 3)


def _analyse(x_bchw: Tensor, low_f: tuple[float, ...], high_f: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Low and high pass along the last axis, every second value."""
    batch, channels, height, width = x_bchw.shape
    taps = len(low_f)
    # A convolution of torch is a correlation: the filters are turned around.
    filters = x_bchw.new_tensor([low_f[::-1], high_f[::-1]]).view(2, 1, 1, taps)
    padded = F.pad(x_bchw, (taps - 2, taps - 2 + width % 2))
    bands = F.conv2d(padded.reshape(batch * channels, 1, height, -1), filters, stride=(1, 2))
    low, high = bands.view(batch, channels, 2, height, -1).unbind(2)
    return low, high


def _synthesise(low_bchv: Tensor, high_bchv: Tensor, low_f: tuple[float, ...], high_f: tuple[float, ...]) -> Tensor:
    """The transpose of `_analyse` with the filters for the way back."""
    batch, channels, height, width = low_bchv.shape
    taps = len(low_f)
    filters = low_bchv.new_tensor([low_f, high_f]).view(2, 1, 1, taps)
    bands = torch.stack((low_bchv, high_bchv), dim=2).view(batch * channels, 2, height, width)
    rows = F.conv_transpose2d(bands, filters, stride=(1, 2), padding=(0, taps - 2))
    return rows.view(batch, channels, height, -1)
