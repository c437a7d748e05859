"""Metrics of pictures beside their originals: PSNR and SSIM, averaged over pictures. They know no task and no colours.

A picture that equals its original has an infinite PSNR, and then so has the mean, as everywhere: a finite number in
its place would be an invention, and leaving the picture out would lower the score for being right.

Shapes: b = batch, c = channels, h, w = height, width.
"""

import math

import torch
from torch import Tensor

from wavemix.metrics.tally import Ratio, ratio

PEAK = 255.0
RADIUS, SIGMA = 5, 1.5


def psnr(prediction_bchw: Tensor, target_bchw: Tensor, *, border: int = 0) -> Ratio:
    """Mean over pictures of ``10 log10(255^2 / MSE)`` in dB, the MSE taken over all channels.

    Args:
        prediction_bchw: One channel or several, in 0..255, any float dtype; computed in float64.
        target_bchw: Of the same shape.
        border: Pixels left out at each edge.

    Source: BasicSR's ``calculate_psnr``.
    """
    difference_bchw = _inner(prediction_bchw, border) - _inner(target_bchw, border)
    return _mean(10 * torch.log10(PEAK**2 / difference_bchw.square().mean(dim=(1, 2, 3))))


def ssim(prediction_bchw: Tensor, target_bchw: Tensor, *, border: int = 0) -> Ratio:
    """Mean over pictures of the structural similarity, itself the mean over channels and places.

    The window is a Gaussian of 11x11 pixels and sigma 1.5, and goes only where all of it lies within the picture.

    Args:
        prediction_bchw: One channel or several, in 0..255, any float dtype; computed in float64.
        target_bchw: Of the same shape.
        border: Pixels left out at each edge.

    Raises:
        ValueError: A picture without its border is smaller than the window.

    Source: Wang et al. 2004, ssim_index.m without its shrinking of large pictures; BasicSR's ``calculate_ssim``.
    """
    x_bchw, y_bchw = _inner(prediction_bchw, border), _inner(target_bchw, border)
    if min(x_bchw.shape[2:]) < 2 * RADIUS + 1:
        height, width = x_bchw.shape[2:]
        raise ValueError(
            f"SSIM needs {2 * RADIUS + 1}x{2 * RADIUS + 1} pixels within the border, found {width}x{height}"
        )
    products = (x_bchw, y_bchw, x_bchw**2, y_bchw**2, x_bchw * y_bchw)
    mean_x, mean_y, square_x, square_y, product = (_blurred(one) for one in products)
    square_of_means, product_of_means = mean_x**2 + mean_y**2, mean_x * mean_y
    luminance, structure = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    similarity = (2 * product_of_means + luminance) / (square_of_means + luminance)
    similarity *= (2 * (product - product_of_means) + structure) / (square_x + square_y - square_of_means + structure)
    return _mean(similarity.mean(dim=(1, 2, 3)))


def _inner(x_bchw: Tensor, border: int) -> Tensor:
    height, width = x_bchw.shape[2:]
    return x_bchw[..., border : height - border, border : width - border].double()


def _blurred(x_bchw: Tensor) -> Tensor:
    # Tap by tap: torch's convolution of doubles would first write each pixel eleven times.
    weights = [math.exp(-(offset**2) / (2 * SIGMA**2)) for offset in range(-RADIUS, RADIUS + 1)]
    for dim in (2, 3):
        length = x_bchw.shape[dim] - 2 * RADIUS
        total = torch.zeros_like(x_bchw.narrow(dim, 0, length))
        for start, weight in enumerate(weights):
            total.add_(x_bchw.narrow(dim, start, length), alpha=weight / sum(weights))
        x_bchw = total
    return x_bchw


def _mean(value_b: Tensor) -> Ratio:
    return ratio(value_b.sum(), len(value_b))
