"""Decides how one level of the 2-D Haar transform is computed; knows no network and holds no state.

Shapes: b = batch, c = channels, h, w = height, width of the finer map; q = 4c sub-band channels, u, v = h/2, w/2.
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

import torch
from torch import Tensor


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
