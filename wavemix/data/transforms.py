"""Changes of a decoded picture before it is batched: size, channels and augmentation. It knows no task or shard.

Pictures are uint8 ``[h, w, 3]`` RGB in 0..255, in and out.
"""

import os
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

UInt8Image = NDArray[np.uint8]


def resize_and_crop(image: UInt8Image, size: int) -> UInt8Image:
    """The centre square of ``size`` x ``size`` after the shorter side was brought to ``size`` (Pillow's antialiased
    bicubic); a picture of that size comes back as it is."""
    height, width = image.shape[:2]
    short = min(height, width)
    if short != size:
        new = (max(size, round(width * size / short)), max(size, round(height * size / short)))
        image = np.asarray(Image.fromarray(image).resize(new, Image.Resampling.BICUBIC))
        height, width = image.shape[:2]
    top, left = (height - size) // 2, (width - size) // 2
    return image[top : top + size, left : left + size]


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
