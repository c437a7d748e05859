"""Bicubic resizing as MATLAB's ``imresize`` does it, by which the low resolutions of published test sets were made.

It decides pixels alone, and knows no file and no data set. Sums are taken in one order, tap by tap, so that the same
picture comes out on every machine.

Shapes: h, w = height, width, c = channels; n = length of the axis at hand before, o = after resizing; t = taps.
"""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Pixel = TypeVar("Pixel", np.uint8, np.float32, np.float64)

KERNEL_WIDTH = 4


def imresize(image: NDArray[Pixel], scale: float) -> NDArray[Pixel]:
    """The picture resized in both directions; when it shrinks, the kernel is widened against aliasing.

    Args:
        image: ``[h, w]`` or ``[h, w, c]``.
        scale: ``1 / 2`` halves the sides. A side of n becomes ``ceil(n * scale)``.

    Returns:
        Of the same type: uint8 rounded once, at the end, and clipped; floats as they come out of float64.

    Source: MATLAB's imresize (bicubic, antialiasing, borders mirrored) of im2double(image), then im2uint8. The pairs of
    SelfExSR are made by an older one, which repeats the border's pixels and rounds after each direction.
    """
    resized = image.astype(np.float64)
    for axis in (0, 1):
        resized = resize_axis(resized, axis, scale)
    return _as(image.dtype, resized)


def resize_axis(image: NDArray[Pixel], axis: int, scale: float) -> NDArray[Pixel]:
    """The picture resized along one axis alone, in its own type."""
    indices_ot, weights_ot = _taps(image.shape[axis], scale)
    column = [-1 if one == axis else 1 for one in range(image.ndim)]
    total = np.zeros([len(indices_ot) if one == axis else side for one, side in enumerate(image.shape)])
    for index_o, weight_o in zip(indices_ot.T, weights_ot.T, strict=True):
        total += np.take(image, index_o, axis) * weight_o.reshape(column)
    return _as(image.dtype, total)


def crop_to_multiple(image: NDArray[Pixel], scale: int) -> NDArray[Pixel]:
    """Without the rows at the bottom and the columns on the right that no whole pixel at ``1 / scale`` covers."""
    height, width = (side - side % scale for side in image.shape[:2])
    return image[:height, :width]


def _as(dtype: np.dtype[Pixel], values: NDArray[np.float64]) -> NDArray[Pixel]:
    if dtype == np.uint8:
        # Half up, as MATLAB does; the sums are exact to 1e-12, so what is that near to a half is one.
        values = np.floor(values + (0.5 + 1e-9)).clip(0, 255)
    return values.astype(dtype)


def _taps(num_in: int, scale: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For every pixel of the resized axis, which pixels it is made of and their weights, both ``[o, t]``."""
    shrink = min(scale, 1.0)
    width = KERNEL_WIDTH / shrink
    num_out = math.ceil(num_in * scale - 1e-9)  # 1e-9: 510 / 3 is 170, not 171
    centres_o = (np.arange(num_out) + 0.5) / scale - 0.5
    firsts_o = np.floor(centres_o - width / 2).astype(np.int64)
    indices_ot = firsts_o[:, None] + np.arange(math.ceil(width) + 2)
    weights_ot = _cubic((centres_o[:, None] - indices_ot) * shrink)
    weights_ot /= weights_ot.sum(axis=1, keepdims=True)
    used_t = weights_ot.any(axis=0)
    # Beyond the border the picture is mirrored, its last pixel included, as often as needed: 0..n-1, n-1..0, 0..
    mirrored = np.concatenate([np.arange(num_in), np.arange(num_in)[::-1]])
    return mirrored[indices_ot[:, used_t] % (2 * num_in)], weights_ot[:, used_t]


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel with a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < KERNEL_WIDTH / 2, far, 0.0))
