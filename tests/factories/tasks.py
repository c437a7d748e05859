"""The smallest experiment of each task: a section of params.yaml, classes, and eight samples that it can learn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wavemix.data import LabelledImage
from wavemix.data.resize import imresize
from wavemix.data.schema import IGNORED, ImagePair, MaskedImage, PlainImage

CLASSES = ("cat", "dog", "cow")


@dataclass(frozen=True)
class Case:
    """``overfitted``: what the goal's metric must reach when the eight samples are all there is."""

    section: Mapping[str, Any]
    classes: tuple[str, ...]
    samples: Callable[[], Sequence[Any]]
    overfitted: float


def labelled() -> list[LabelledImage]:
    generator = np.random.default_rng(0)
    return [
        LabelledImage(f"{number}", generator.integers(0, 256, (9, 12, 3), dtype=np.uint8), number % 3)
        for number in range(8)
    ]


def masked() -> list[MaskedImage]:
    """Noise of 12x16 pixels with a bright rectangle, which is of class 1 or 2, and a border that is ignored."""
    generator = np.random.default_rng(0)
    samples = []
    for number in range(8):
        image, mask = generator.integers(0, 128, (12, 16, 3), dtype=np.uint8), np.zeros((12, 16), np.uint8)
        top, left = 1 + number % 4, 2 + number
        image[top : top + 6, left : left + 6, number % 2] += 127
        mask[top : top + 6, left : left + 6] = 1 + number % 2
        mask[12 - number :] = IGNORED
        samples.append(MaskedImage(f"{number}", image, mask))
    return samples


def pairs() -> list[ImagePair]:
    """Soft shapes of 24x32 pixels and their halves; every other one is grey."""
    generator = np.random.default_rng(0)
    samples = []
    for number in range(8):
        high = imresize(generator.integers(0, 256, (6, 8, 3), dtype=np.uint8), 4.0)
        grey = number % 2 == 1
        high = np.repeat(high[:, :, :1], 3, axis=2) if grey else high
        samples.append(ImagePair(f"{number}", high, {2: imresize(high, 1 / 2)}, grey))
    return samples


def photographs() -> list[PlainImage]:
    """Soft shapes of 24x32 pixels."""
    generator = np.random.default_rng(0)
    return [
        PlainImage(f"{number}", imresize(generator.integers(0, 256, (3, 4, 3), dtype=np.uint8), 8.0))
        for number in range(8)
    ]


CASES: Mapping[str, Case] = {
    "classification": Case(
        {
            "name": "classification",
            "model": {"dim": 16, "depth": 2, "in_channels": 3},
            "image_size": 8,
            "mean": (0.5, 0.4, 0.3),
            "std": (0.2, 0.25, 0.3),
            "augment": {"shift": 0.1, "rotate": 10.0},
        },
        CLASSES,
        labelled,
        overfitted=1.0,
    ),
    "segmentation": Case(
        {
            "name": "segmentation",
            "model": {"dim": 16, "depth": 2, "levels": 2},
            "image_size": (24, 32),
            "crop": (16, 24),
            "mean": (0.5, 0.4, 0.3),
            "std": (0.2, 0.25, 0.3),
            "augment": {"horizontal_flip_prob": 0.5, "scale": (0.75, 1.5)},
            "inference": ("flip", "sliding", "sliding_flip", "ms", "ms_flip"),
            "window": (16, 16),
            "stride": (8, 12),
            "scales": (0.5, 1.0),
        },
        CLASSES,
        masked,
        overfitted=0.9,
    ),
    "super_resolution": Case(
        {
            "name": "super_resolution",
            "model": {"name": "wavemix_sr", "dim": 16, "depth": 1, "dropout": 0.0},
            "scale": 2,
            "crop": 16,
            "flip_and_turn": True,
            "self_ensemble": True,
        },
        (),
        pairs,
        overfitted=25.0,
    ),
    "inpainting": Case(
        {
            "name": "inpainting",
            "model": {"num_modules": 1, "blocks_per_module": 1, "dim": 16, "dropout": 0.0},
            "image_size": 16,
            "train_masks": "lama",
            "eval_masks": "medium",
            "horizontal_flip_prob": 0.5,
            "perceptual": "none",
        },
        (),
        photographs,
        overfitted=0.05,
    ),
}
"""A new task must be added here, or the tests of all tasks fail."""
