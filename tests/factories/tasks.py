"""The smallest experiment of each task: a section of params.yaml, classes, and eight samples that it can learn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wavemix.data import LabelledImage

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
    )
}
"""A new task must be added here, or the tests of all tasks fail."""
