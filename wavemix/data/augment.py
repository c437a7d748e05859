"""Random changes of one training picture: which part is seen, its shape and colours, what is erased. It knows no task,
shard or batch, and draws nothing but from the generator that it is given.

RandAugment and TrivialAugmentWide are written here because no library of the core has them: albumentations 2.0.8 lacks
both, and timm and torchvision do not import beside a torch for CPUs. The operations are Pillow's, as they are there.

Pictures are uint8 ``[h, w, 3]`` RGB in 0..255, in and out; the one given stays as it is.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from wavemix.data.transforms import UInt8Image, resize

ATTEMPTS = 10
"""To find a box that fits, as in timm and torchvision."""

ERASED_AREA, ERASED_RATIO = (0.02, 1 / 3), (0.3, 1 / 0.3)
"""Share of the picture's area, and width to height, as in timm (the paper, arXiv 1708.04896, goes up to 0.4)."""


# --- which part is seen, and what is erased ------------------------------------------------------------------------


def random_resized_crop(
    image: UInt8Image,
    generator: np.random.Generator,
    *,
    size: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> UInt8Image:
    """A random part of the picture as ``size`` x ``size`` (antialiased bicubic).

    Args:
        image: A picture of any size.
        generator: Gives all random numbers.
        size: Side of the square.
        scale: Least and largest share of the picture's area, evenly spread.
        ratio: Least and largest width to height, evenly spread in its logarithm.

    Source: torchvision's RandomResizedCrop: ten attempts, then the largest part in the middle that has such a ratio.
    """
    height, width = image.shape[:2]
    box = _random_box(height, width, generator, scale, ratio)
    if box is None:
        high, wide = min(height, round(width / ratio[0])), min(width, round(height * ratio[1]))
        box = _box((height - high) // 2, (width - wide) // 2, high, wide)
    return resize(image[box], (size, size), exact=False)


def side_for_crops(size: int, *, scale: tuple[float, float], ratio: tuple[float, float]) -> int:
    """The shorter side of a picture whose smallest `random_resized_crop` still has ``size`` pixels along both axes.

    A larger picture may be decoded down to it: no crop gets coarser by that than it is shown.
    """
    return math.ceil(size / math.sqrt(scale[0] * min(ratio[0], 1 / ratio[1])))


def random_erasing(
    image: UInt8Image, generator: np.random.Generator, *, prob: float, mean: tuple[float, ...], std: tuple[float, ...]
) -> UInt8Image:
    """The picture, a random box of which is noise with probability ``prob``.

    Args:
        image: uint8 ``[h, w, c]``.
        generator: Gives all random numbers.
        prob: Probability that there is a box.
        mean: Of the noise, for each of the c channels, in units of 0..1.
        std: Likewise.

    Source: timm's RandomErasing, mode pixel (``--remode pixel``, one box). That erases after normalisation, by standard
    normal noise; here the noise has the mean and the deviation that the picture will be normalised with, which is the
    same. Deliberate differences: noise beyond black and white is cut off there (with ImageNet's numbers 4 % of the
    values), and a box may be as wide or high as the picture.
    """
    height, width = image.shape[:2]
    box = _random_box(height, width, generator, ERASED_AREA, ERASED_RATIO) if generator.random() < prob else None
    if box is None:
        return image
    erased = image.copy()
    noise_hwc = generator.standard_normal(erased[box].shape, np.float32)
    noise_hwc = np.float32(255) * (noise_hwc * np.asarray(std, np.float32) + np.asarray(mean, np.float32))
    erased[box] = noise_hwc.round().clip(0, 255)
    return erased


def _random_box(
    height: int, width: int, generator: np.random.Generator, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[slice, slice] | None:
    """A box of random area and shape anywhere in the picture; None if none of `ATTEMPTS` fits."""
    for _ in range(ATTEMPTS):
        area = generator.uniform(*scale) * height * width
        shape = math.exp(generator.uniform(math.log(ratio[0]), math.log(ratio[1])))
        high, wide = round(math.sqrt(area / shape)), round(math.sqrt(area * shape))
        if 0 < high <= height and 0 < wide <= width:
            top, left = generator.integers(height - high + 1), generator.integers(width - wide + 1)
            return _box(int(top), int(left), high, wide)
    return None


def _box(top: int, left: int, height: int, width: int) -> tuple[slice, slice]:
    return slice(top, top + height), slice(left, left + width)


# --- shape and colours ---------------------------------------------------------------------------------------------


class Canvas(NamedTuple):
    """Where a picture that is moved gets its pixels from: the colour around it, and a way to read between pixels."""

    fill: tuple[int, int, int]
    resample: Image.Resampling

    def warp(self, picture: Image.Image, *matrix: float) -> Image.Image:
        return picture.transform(picture.size, Image.Transform.AFFINE, matrix, self.resample, fillcolor=self.fill)


OPERATIONS: Mapping[str, Callable[[Image.Image, float, Canvas], Image.Image]] = {
    "identity": lambda picture, *_: picture,
    "auto_contrast": lambda picture, *_: ImageOps.autocontrast(picture),
    "equalize": lambda picture, *_: ImageOps.equalize(picture),
    "invert": lambda picture, *_: ImageOps.invert(picture),
    "posterize": lambda picture, bits, _: ImageOps.posterize(picture, int(bits)),
    "solarize": lambda picture, threshold, _: ImageOps.solarize(picture, threshold),  # type: ignore[arg-type]
    "solarize_add": lambda picture, add, _: picture.point([i + int(add) * (i < 128) for i in range(256)] * 3),
    "brightness": lambda picture, change, _: ImageEnhance.Brightness(picture).enhance(1 + change),
    "color": lambda picture, change, _: ImageEnhance.Color(picture).enhance(1 + change),
    "contrast": lambda picture, change, _: ImageEnhance.Contrast(picture).enhance(1 + change),
    "sharpness": lambda picture, change, _: ImageEnhance.Sharpness(picture).enhance(1 + change),
    "rotate": lambda picture, degrees, canvas: picture.rotate(degrees, canvas.resample, fillcolor=canvas.fill),
    "shear_x": lambda picture, slope, canvas: canvas.warp(picture, 1, slope, 0, 0, 1, 0),
    "shear_y": lambda picture, slope, canvas: canvas.warp(picture, 1, 0, 0, slope, 1, 0),
    "translate_x": lambda picture, pixels, canvas: canvas.warp(picture, 1, 0, int(pixels), 0, 1, 0),
    "translate_y": lambda picture, pixels, canvas: canvas.warp(picture, 1, 0, 0, 0, 1, int(pixels)),
    "translate_x_share": lambda picture, share, canvas: canvas.warp(picture, 1, 0, share * picture.width, 0, 1, 0),
    "translate_y_share": lambda picture, share, canvas: canvas.warp(picture, 1, 0, 0, 0, 1, share * picture.height),
}
"""By name: (picture, amount, canvas) -> picture."""

SIGNED = frozenset(name for name in OPERATIONS if name.startswith(("rotate", "shear", "translate"))) | {
    "brightness",
    "color",
    "contrast",
    "sharpness",
}
"""Operations of which every second one, at random, is done by the amount below zero."""


def _no_amount(_: float) -> float:
    return 0.0


RAND_AUGMENT: Mapping[str, Callable[[float], float]] = {
    "auto_contrast": _no_amount,
    "equalize": _no_amount,
    "invert": _no_amount,
    "rotate": lambda level: 30 * level,
    "posterize": lambda level: max(1, 4 - int(4 * level)),
    "solarize": lambda level: 256 - int(256 * level),
    "solarize_add": lambda level: int(110 * level),
    "color": lambda level: 0.9 * level,
    "contrast": lambda level: 0.9 * level,
    "brightness": lambda level: 0.9 * level,
    "sharpness": lambda level: 0.9 * level,
    "shear_x": lambda level: 0.3 * level,
    "shear_y": lambda level: 0.3 * level,
    "translate_x_share": lambda level: 0.45 * level,
    "translate_y_share": lambda level: 0.45 * level,
}
"""The operations of `rand_augment`: from a level in 0..1 to an amount."""

TRIVIAL_AUGMENT: Mapping[str, Callable[[float], float]] = {
    "identity": _no_amount,
    "shear_x": lambda level: 0.99 * level,
    "shear_y": lambda level: 0.99 * level,
    "translate_x": lambda level: 32 * level,
    "translate_y": lambda level: 32 * level,
    "rotate": lambda level: 135 * level,
    "brightness": lambda level: 0.99 * level,
    "color": lambda level: 0.99 * level,
    "contrast": lambda level: 0.99 * level,
    "sharpness": lambda level: 0.99 * level,
    "posterize": lambda level: 8 - round(6 * level),
    "solarize": lambda level: 255 * (1 - level),
    "auto_contrast": _no_amount,
    "equalize": _no_amount,
}
"""The operations of `trivial_augment_wide`: from a level in 0..1 to an amount."""


def rand_augment(
    image: UInt8Image,
    generator: np.random.Generator,
    *,
    num_ops: int,
    magnitude: float,
    magnitude_std: float,
    fill: tuple[int, int, int],
) -> UInt8Image:
    """``num_ops`` random operations, each done with probability 1/2 by about the same magnitude.

    Args:
        image: A picture.
        generator: Gives all random numbers.
        num_ops: Number of operations drawn; one may be drawn twice.
        magnitude: Mean strength, 0 (none) to 10.
        magnitude_std: Its standard deviation; what is drawn is cut off at 0 and 10.
        fill: Colour (RGB) of what comes into the picture from outside.

    Source: RandAugment (arXiv 1909.13719) as timm's ``rand-m9-mstd0.5-inc1`` has it: its operations and ranges, all
    stronger with the magnitude, its probability of 1/2 and its noise. It resamples by bicubic interpolation alone, as
    timm does with ``--train-interpolation bicubic``. Deliberate difference: at magnitude 10, posterizing keeps one bit
    where timm's keeps none, a black picture, which Pillow refuses since 13.
    """
    names, canvas = list(RAND_AUGMENT), Canvas(fill, Image.Resampling.BICUBIC)
    picture = Image.fromarray(image)
    for number in generator.integers(len(names), size=num_ops):
        if generator.random() < 0.5:
            level = min(max(generator.normal(magnitude, magnitude_std) / 10, 0.0), 1.0)
            picture = _operated(picture, names[number], RAND_AUGMENT[names[number]](level), canvas, generator)
    return np.asarray(picture)


def trivial_augment_wide(image: UInt8Image, generator: np.random.Generator) -> UInt8Image:
    """One random operation of a random strength out of 31.

    Source: TrivialAugment (arXiv 2103.10158), the wide space, as torchvision's TrivialAugmentWide has it with its
    defaults (nearest pixel, black around): what the authors train with on CIFAR, Tiny ImageNet and Galaxy10. The
    strengths are exact here, where torchvision's are rounded to float32, which makes 15 pixels of 16.
    """
    name = list(TRIVIAL_AUGMENT)[generator.integers(len(TRIVIAL_AUGMENT))]
    amount = TRIVIAL_AUGMENT[name](generator.integers(31) / 30)
    canvas = Canvas((0, 0, 0), Image.Resampling.NEAREST)
    return np.asarray(_operated(Image.fromarray(image), name, amount, canvas, generator))


def _operated(
    picture: Image.Image, name: str, amount: float, canvas: Canvas, generator: np.random.Generator
) -> Image.Image:
    sign = -1 if name in SIGNED and generator.random() < 0.5 else 1
    return OPERATIONS[name](picture, sign * amount, canvas)
