"""What classes look like: their colours in pictures, and the numbers by which others know them in files.

It decides both by the names of the classes, and knows no task.
"""

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wavemix.data.sources import cityscapes

CITYSCAPES = (
    (128, 64, 128),
    (244, 35, 232),
    (70, 70, 70),
    (102, 102, 156),
    (190, 153, 153),
    (153, 153, 153),
    (250, 170, 30),
    (220, 220, 0),
    (107, 142, 35),
    (152, 251, 152),
    (70, 130, 180),
    (220, 20, 60),
    (255, 0, 0),
    (0, 0, 142),
    (0, 0, 70),
    (0, 60, 100),
    (0, 80, 100),
    (0, 0, 230),
    (119, 11, 32),
)
"""RGB in the order of train ids; labels.py of cityscapesscripts 2.3.0."""


def of_cityscapes(classes: Sequence[str]) -> bool:
    """Whether these are the 19 classes of Cityscapes, in the order of their train ids."""
    return tuple(classes) == tuple(cityscapes.CLASSES.values())


def colours_of(classes: Sequence[str]) -> NDArray[np.uint8]:
    """RGB by class index, ``[k, 3]``: the official colours of Cityscapes' classes, or else colours far apart."""
    if of_cityscapes(classes):
        return np.array(CITYSCAPES, np.uint8)
    return np.array([_colour(index) for index in range(len(classes))], np.uint8)


def label_ids_of(classes: Sequence[str]) -> NDArray[np.uint8]:
    """The number of each class in files, ``[k]``: what the server of Cityscapes expects, or else its index."""
    return np.array(list(cityscapes.CLASSES) if of_cityscapes(classes) else range(len(classes)), np.uint8)


def _colour(index: int) -> tuple[int, int, int]:
    """Steps of the golden ratio round the circle of hues, in three degrees of brightness."""
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.85, (0.7, 0.5, 1.0)[index % 3])
    return round(red * 255), round(green * 255), round(blue * 255)
