"""Which pixels of a picture are taken away: masks of strokes and boxes as LaMa and WavePaint's authors draw them.

It knows no picture and no task, and draws all its randomness from the generator, or the seed, that it is given.

Masks are bool ``[h, w]``: True = hole. A mask is drawn for a square of ``size`` pixels; where that is not the size for
which a setting is stated, all its lengths are scaled with it, so that the share of the hole stays about the same.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from wavemix.errors import DataError

Mask = NDArray[np.bool_]

MAX_HOLE = 0.5
"""Share of the picture that the hole of an evaluation mask may have (LaMa's max_tamper_area)."""

SHORTEST, THINNEST = 10, 5
"""Pixels that are added to every drawn length and width of a stroke."""


class Strokes(NamedTuple):
    """Chains of up to five thick lines. The numbers are LaMa's, whose largest count is one above ``max_times``."""

    min_times: int
    max_times: int
    max_width: int
    max_length: int


class Boxes(NamedTuple):
    """Upright boxes that keep ``margin`` free at the edges; ``weight`` is against 1 for strokes."""

    weight: float
    margin: int
    min_side: int
    max_side: int
    min_times: int
    max_times: int


@dataclass(frozen=True)
class Setting:
    """How masks of a kind are drawn on a picture of ``size`` x ``size``: strokes or boxes, never both in one mask."""

    size: int
    strokes: Strokes
    boxes: Boxes | None = None


SETTINGS: Mapping[str, tuple[Setting, ...]] = {
    "thin": (Setting(256, Strokes(4, 50, 10, 40)), Setting(512, Strokes(4, 70, 20, 100))),
    "medium": (
        Setting(256, Strokes(4, 5, 50, 100), Boxes(0.3, 0, 10, 50, 1, 5)),
        Setting(512, Strokes(4, 10, 100, 200), Boxes(0.3, 0, 30, 150, 1, 5)),
    ),
    "thick": (
        Setting(256, Strokes(1, 5, 100, 200), Boxes(0.3, 10, 30, 150, 1, 3)),
        Setting(512, Strokes(1, 5, 250, 450), Boxes(0.3, 10, 30, 300, 1, 4)),
    ),
    "lama": (Setting(256, Strokes(1, 5, 100, 200), Boxes(1, 10, 30, 150, 1, 4)),),
    "wavepaint_imagenet": (Setting(224, Strokes(4, 10, 30, 35), Boxes(1, 0, 30, 75, 2, 5)),),
}
"""By kind, one setting per size that it is stated for.

``thin``, ``medium``, ``thick``: LaMa's for evaluation. ``lama``: the one it is trained with. WavePaint's authors train
with ``medium`` and ``thick`` of 256, on CelebA-HQ in 2023 with ``lama``, and on ImageNet with ``wavepaint_imagenet``.

Source: configs/data_gen/random_{thin,medium,thick}_{256,512}.yaml and abl-04-256-mh-dist of advimman/lama; the training
scripts of pranavphoenix/WavePaint.
"""


def draw_mask(kind: str, size: int, generator: np.random.Generator) -> Mask:
    """A mask for training, with a hole of any area.

    Args:
        kind: A name in ``SETTINGS``.
        size: Side of the picture; the setting is the one stated for it, else the first one, scaled.
        generator: All randomness comes from it.

    Raises:
        DataError: OpenCV, which draws the strokes, is not installed.

    Source: MixedMaskGenerator of LaMa (saicinpainting/training/data/masks.py): the same pixels for the same numbers,
    which are drawn in its order.
    """
    settings = SETTINGS[kind]
    setting = next((one for one in settings if one.size == size), settings[0])
    scale, boxes = size / setting.size, setting.boxes
    if boxes is None or generator.random() < 1 / (1 + boxes.weight):
        return _strokes(setting.strokes, size, scale, generator)
    return _boxes(boxes, size, scale, generator)


def eval_mask(kind: str, size: int, *, seed: int, key: str) -> Mask:
    """The mask that the sample ``key`` is scored with: a function of the arguments alone, the same for everyone.

    Masks are drawn until the hole has at most half of the picture. LaMa draws five at a time, takes one of those whose
    hole is not larger, and draws again if there is none: masks of the same distribution. Deliberate difference: LaMa
    draws on the whole picture and crops a random square that touches the hole; here the square comes first.

    Source: bin/gen_mask_dataset.py of LaMa.
    """
    generator = np.random.Generator(np.random.PCG64([seed, xxh3_64_intdigest(key.encode())]))
    while (mask := draw_mask(kind, size, generator)).mean() > MAX_HOLE:
        pass
    return mask


def mask_digest(mask: Mask, key: str) -> int:
    """64 bits (XXH3) of a mask and the key of its sample; a set of masks is told by the sum of its digests."""
    return xxh3_64_intdigest(np.packbits(mask).tobytes(), seed=xxh3_64_intdigest(key.encode()))


def _strokes(strokes: Strokes, size: int, scale: float, generator: np.random.Generator) -> Mask:
    cv2 = _opencv()
    drawn = np.zeros((size, size), np.uint8)
    for number in range(generator.integers(strokes.min_times, strokes.max_times + 2)):
        x, y = (int(generator.integers(size)) for _ in range(2))
        for _ in range(1 + generator.integers(5)):
            angle = 0.01 + generator.integers(4)  # radians
            length = scale * (SHORTEST + generator.integers(strokes.max_length))
            width = _scaled(int(THINNEST + generator.integers(strokes.max_width)), scale)
            turned = -angle if number % 2 == 0 else angle
            end_x = min(max(int(x + length * math.sin(turned)), 0), size)
            end_y = min(max(int(y + length * math.cos(turned)), 0), size)
            cv2.line(drawn, (x, y), (end_x, end_y), 1, width)
            x, y = end_x, end_y
    return drawn.astype(np.bool_)


def _boxes(boxes: Boxes, size: int, scale: float, generator: np.random.Generator) -> Mask:
    mask = np.zeros((size, size), np.bool_)
    margin = round(scale * boxes.margin)
    for _ in range(generator.integers(boxes.min_times, boxes.max_times + 1)):
        width, height = (_scaled(int(generator.integers(boxes.min_side, boxes.max_side + 1)), scale) for _ in range(2))
        left, top = (int(generator.integers(margin, size - margin - side + 1)) for side in (width, height))
        mask[top : top + height, left : left + width] = True
    return mask


def _scaled(length: int, scale: float) -> int:
    return max(1, round(scale * length))


def _opencv() -> Any:
    try:
        import cv2  # noqa: PLC0415  (an extra, and needed for strokes alone)
    except ImportError:
        raise DataError("masks need OpenCV, which is not installed; pip install 'wavemix-train[pipeline]'") from None
    return cv2
