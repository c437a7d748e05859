"""Scenes: handwritten digits pasted on photographs, with exact masks; synthetic, and made of what packages ship.

It decides what is in a scene, and that no two splits share a digit or a photograph. It knows nothing of shards.

Shapes: h, w = height, width of a scene; s = side of a digit in it.
"""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wavemix.data.decode import UInt8Image, decode_image, encode_png
from wavemix.data.raw.archives import RawFile, RawFolder
from wavemix.data.raw.items import Item, Parts, RawSet, fingerprint_of
from wavemix.data.sources import digits
from wavemix.errors import DataError

PHOTOGRAPHS = {
    "train": (
        "skimage/data/astronaut.png",
        "skimage/data/motorcycle_left.png",
        "skimage/data/rocket.jpg",
        "sklearn/datasets/images/china.jpg",
    ),
    "val": ("skimage/data/chelsea.png",),
    "test": ("skimage/data/coffee.png", "sklearn/datasets/images/flower.jpg"),
}
CLASSES = ("background", *"0123456789")
VAL_SHARE, TEST_SHARE = 0.1, 0.2  # of the digits
DIGIT_PROB = 0.75
"""Probability that a quarter of a scene holds a digit."""


class Scene(NamedTuple):
    """What is needed to draw one; ``digits`` are (number of the picture, digit)."""

    photograph: RawFile
    digits: tuple[tuple[int, int], ...]
    side: int
    stream: tuple[int, ...]  # of the random numbers it is drawn by


def read(*, side: int, num_train: int, num_val: int, num_test: int, seed: int) -> RawSet:
    """Scenes of ``side`` x ``side`` pixels; each quarter holds a digit of a half to seven eighths of its side, or none.

    Args:
        side: Even, at least 32: no digit is then smaller than the 8x8 pixels it is made of.
        num_train, num_val, num_test: How many scenes.
        seed: Chooses everything: the split of the digits, and what each scene shows.

    Raises:
        DataError: scikit-image, scikit-learn or a photograph is not there.

    Source: 1,797 digits of scikit-learn, seven colour photographs of scikit-image and scikit-learn; no network.
    """
    shipped = digits.read(val_fraction=VAL_SHARE, test_fraction=TEST_SHARE, seed=seed)
    items: dict[str, list[Item]] = {}
    contents: list[bytes] = []
    for number, (split, count) in enumerate({"train": num_train, "val": num_val, "test": num_test}.items()):
        files = [_file(path) for path in PHOTOGRAPHS[split]]
        contents += [file.read() for file in files]
        items[split] = [
            Item(f"{split}_{index:05d}", None, _scene(files, shipped.items[split], side, (seed, number, index)))
            for index in range(count)
        ]
    fingerprint = fingerprint_of([side, num_train, num_val, num_test, seed, shipped.fingerprint, *contents])
    return RawSet("image_with_mask", CLASSES, items, partial(_read, shipped.read), fingerprint)


def _scene(files: Sequence[RawFile], pool: Sequence[Item], side: int, place: tuple[int, int, int]) -> Scene:
    draws = _draws((*place, 0))
    photograph = files[int(next(draws) * len(files))]
    chosen = [pool[int(next(draws) * len(pool))] for _ in range(4)]
    return Scene(photograph, tuple((item.what, item.label or 0) for item in chosen), side, (*place, 1))


def _read(read_digit: Callable[[int], Parts], scene: Scene) -> Parts:
    draws = _draws(scene.stream)
    image = _background(_pixels(scene.photograph), scene.side, draws).astype(np.float64)
    mask = np.zeros((scene.side, scene.side), np.uint8)
    cell = scene.side // 2
    for quarter, (number, digit) in enumerate(scene.digits):
        if next(draws) < DIGIT_PROB:
            digit_side = round(cell * (0.5 + 0.375 * next(draws)))
            top, left = (corner * cell + int(next(draws) * (cell - digit_side + 1)) for corner in divmod(quarter, 2))
            part = slice(top, top + digit_side), slice(left, left + digit_side)
            ink_ss = _ink(decode_image(read_digit(number)["image"])[:, :, 0], digit_side)
            image[part] = _pasted(image[part], ink_ss, draws)
            mask[part][ink_ss >= 0.5] = 1 + digit
    return {"image": encode_png(np.round(image).astype(np.uint8)), "mask": encode_png(mask)}


def _background(photograph: UInt8Image, side: int, draws: Iterator[float]) -> UInt8Image:
    """A square of it, one to two sides wide, resized and perhaps mirrored."""
    wanted = round(side * (1 + next(draws)))
    top, left = (int(next(draws) * (length - wanted + 1)) for length in photograph.shape[:2])
    square = photograph[top : top + wanted, left : left + wanted]
    resized = np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.BICUBIC))
    return resized[:, ::-1] if next(draws) < 0.5 else resized


def _ink(digit_88: UInt8Image, side: int) -> NDArray[np.float64]:
    """How much of each pixel is ink, ``[s, s]`` in [0, 1]: smooth and steep, so that few pixels are in between."""
    grey = Image.fromarray(digit_88.astype(np.float32) / 255).resize((side, side), Image.Resampling.BICUBIC)
    return np.clip(2 * np.asarray(grey, np.float64) - 0.5, 0, 1)


def _pasted(under_ss3: NDArray[np.float64], ink_ss: NDArray[np.float64], draws: Iterator[float]) -> NDArray[np.float64]:
    """Under ink of any colour that is far brighter or far darker than what is there, and nearly opaque."""
    colour_3 = np.array([70 * next(draws) for _ in range(3)])
    if under_ss3.mean() < 128:
        colour_3 = 255 - colour_3
    cover_ss1 = ink_ss[:, :, None] * (0.8 + 0.2 * next(draws))
    return under_ss3 * (1 - cover_ss1) + colour_3 * cover_ss1


def _draws(stream: tuple[int, ...]) -> Iterator[float]:
    """Numbers in [0, 1): raw ones of Philox, whose stream is promised never to change."""
    numbers = np.random.Philox(stream)
    while True:
        yield (int(numbers.random_raw()) >> 11) / 2**53


@lru_cache(maxsize=sum(map(len, PHOTOGRAPHS.values())))
def _pixels(file: RawFile) -> UInt8Image:
    return decode_image(file.read())


def _file(path: str) -> RawFile:
    """A file of an installed package, by a path that begins with the package's name."""
    package, _, below = path.partition("/")
    found = importlib.util.find_spec(package)  # not imported: that takes a second, for a few files
    if found is None or found.origin is None:
        raise DataError(f"{package} is not installed; pip install 'wavemix-train[pipeline]'")
    return RawFolder(Path(found.origin).parent, Path()).file(below)
