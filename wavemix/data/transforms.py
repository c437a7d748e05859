"""Changes of a decoded picture before it is batched: size, channels and augmentation. It knows no task or shard.

Evaluation takes Pillow's resizing, which all compare with; training torch's, which is five times as fast on a CPU and
differs by 2 of 255 at most (benchmarks/loader.py).

Pictures are uint8 ``[h, w, 3]`` RGB in 0..255, in and out; masks are class numbers, uint8 ``[h, w]``.
"""

import os
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

UInt8Image = NDArray[np.uint8]


def resize_and_crop(image: UInt8Image, size: int, *, exact: bool) -> UInt8Image:
    """The centre square of ``size`` x ``size`` after the shorter side was brought to ``size`` (antialiased bicubic).

    Args:
        image: A picture; one whose shorter side is ``size`` is cropped alone.
        size: Side of the square.
        exact: Pillow's pixels, bit by bit; else torch's.
    """
    height, width = image.shape[:2]
    short = min(height, width)
    if short != size:
        height, width = max(size, round(height * size / short)), max(size, round(width * size / short))
        image = _resized_by_pillow(image, height, width) if exact else _resized_by_torch(image, height, width)
    top, left = (height - size) // 2, (width - size) // 2
    return image[top : top + size, left : left + size]


def resize(image: UInt8Image, size: tuple[int, int], *, exact: bool) -> UInt8Image:
    """The whole picture at ``size`` (h, w), antialiased bicubic, whatever becomes of its proportions."""
    if image.shape[:2] == size:
        return image
    return _resized_by_pillow(image, *size) if exact else _resized_by_torch(image, *size)


def resize_mask(mask: UInt8Image, size: tuple[int, int]) -> UInt8Image:
    """The mask at ``size`` (h, w): each pixel has the class of the nearest one, for numbers have no mean."""
    if mask.shape == size:
        return mask
    return np.asarray(Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST))


def random_crop(
    image: UInt8Image,
    mask: UInt8Image,
    size: tuple[int, int],
    generator: np.random.Generator,
    *,
    colour: tuple[int, ...],
    ignored: int,
) -> tuple[UInt8Image, UInt8Image]:
    """The same part of both, of ``size`` (h, w), drawn evenly.

    What is too small is filled up at the bottom and on the right: with ``colour`` (RGB), and with pixels that are
    ``ignored``.
    """
    missing = [max(0, wanted - side) for wanted, side in zip(size, mask.shape, strict=True)]
    if any(missing):
        (height, width), filled = mask.shape, tuple(np.add(mask.shape, missing))
        padded, padded_mask = np.full((*filled, 3), colour, np.uint8), np.full(filled, ignored, np.uint8)
        padded[:height, :width], padded_mask[:height, :width] = image, mask
        image, mask = padded, padded_mask
    top, left = (int(generator.integers(side - wanted + 1)) for side, wanted in zip(mask.shape, size, strict=True))
    part = slice(top, top + size[0]), slice(left, left + size[1])
    return image[part], mask[part]


def _resized_by_pillow(image: UInt8Image, height: int, width: int) -> UInt8Image:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def _resized_by_torch(image: UInt8Image, height: int, width: int) -> UInt8Image:
    writable = image if image.flags.writeable else image.copy()  # torch warns of others
    planes_1chw = torch.from_numpy(writable).permute(2, 0, 1)[None]
    resized_1chw = F.interpolate(planes_1chw, size=(height, width), mode="bicubic", antialias=True)
    resized: UInt8Image = resized_1chw[0].permute(1, 2, 0).numpy()
    return resized


def to_channels(image: UInt8Image, channels: int) -> UInt8Image:
    """RGB as it is (3), or its luminance (1) by ITU-R 601-2, which keeps the values of a grey picture."""
    if channels == 3:
        return image
    return np.asarray(Image.fromarray(image).convert("L"))[:, :, None]


@cache
def augmenter(
    *, shift: float, scale: float, rotate: float, horizontal_flip_prob: float
) -> Callable[[UInt8Image, np.random.Generator], UInt8Image]:
    """A function (picture, generator) -> picture that draws all its randomness from the generator.

    Args:
        shift: Largest move along each axis, as a share of the side.
        scale: Largest change of size, as a share.
        rotate: Largest turn in degrees, either way.
        horizontal_flip_prob: Probability of a mirror image.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its version check calls home, for half a second
    import albumentations  # noqa: PLC0415  (an extra, and slow to import)

    steps = []
    if horizontal_flip_prob:
        steps.append(albumentations.HorizontalFlip(p=horizontal_flip_prob))
    if shift or scale or rotate:
        affine = albumentations.Affine(
            translate_percent=(-shift, shift), scale=(1 - scale, 1 + scale), rotate=(-rotate, rotate), p=1.0
        )
        steps.append(affine)
    compose = albumentations.Compose(steps)

    def augment(image: UInt8Image, generator: np.random.Generator) -> UInt8Image:
        compose.set_random_seed(int(generator.integers(2**32)))
        changed: UInt8Image = compose(image=np.ascontiguousarray(image))["image"]
        return changed

    return augment
