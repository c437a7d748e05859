"""Decides which pictures loading and preparing are measured on; does not know how either is measured."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from wavemix.data.decode import UInt8Image, encode_jpeg

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")  # in scikit-image's wheel: no download
QUALITY = 90
SIZE = (500, 375)  # width and height, on average: what ImageNet's are like
MOST_SHRUNK = 0.6
VARIES = 0.15  # width and height, each way
UPRIGHT_PROB = 0.25


def write_pictures(root: Path, counts: Mapping[str, int], *, size: tuple[int, int] = SIZE, seed: int = 0) -> list[Path]:
    """Write JPEGs (4:2:0) to ``<root>/<split>/<photograph>/<number>.jpg``; the same ones for the same seed.

    Args:
        root: Gets a folder for each split, and in it one for each photograph, which is the class.
        counts: How many pictures a split has, at least one.
        size: Width and height, about: they vary by 15 %, and a quarter of the pictures stands upright.
        seed: Chooses everything.

    Returns:
        Their paths, in the order of splits and numbers.
    """
    generator = np.random.default_rng(seed)
    mosaics = {name: _mosaic(name, 3 * max(size)) for name in PHOTOGRAPHS}
    paths = []
    for split, count in counts.items():
        for number in range(count):
            name = PHOTOGRAPHS[number % len(PHOTOGRAPHS)]
            path = root / split / name / f"{number:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_jpeg(_picture(mosaics[name], size, generator), QUALITY))
            paths.append(path)
    return paths


def contents_of(paths: Sequence[Path]) -> list[bytes]:
    """The files' bytes; reading them leaves them in the page cache as well."""
    return [path.read_bytes() for path in paths]


def labelled(paths: Sequence[Path]) -> Iterator[tuple[Path, int]]:
    """Each path with its class as ``image_folder`` counts them."""
    classes = sorted(PHOTOGRAPHS)
    return ((path, classes.index(path.parent.name)) for path in paths)


def _mosaic(name: str, side: int) -> UInt8Image:
    """A photograph and its mirror images, without a seam: as large as needed, and as sharp as it was taken."""
    photograph: NDArray[np.uint8] = getattr(skimage.data, name)()
    height, width = photograph.shape[:2]
    return np.pad(photograph, ((0, side - height), (0, side - width), (0, 0)), "symmetric")


def _picture(mosaic: UInt8Image, size: tuple[int, int], generator: np.random.Generator) -> UInt8Image:
    """A part from anywhere, shrunk a little: enlarged ones would be smoother than photographs, and decode faster."""
    width, height = (round(side * generator.uniform(1 - VARIES, 1 + VARIES)) for side in size)
    if generator.random() < UPRIGHT_PROB:
        width, height = height, width
    shrunk = generator.uniform(MOST_SHRUNK, 1)
    taken = (int(height / shrunk), int(width / shrunk))
    top, left = (int(generator.integers(of - some)) for of, some in zip(mosaic.shape, taken, strict=False))
    part = Image.fromarray(mosaic[top : top + taken[0], left : left + taken[1]])
    return np.asarray(part.resize((width, height), Image.Resampling.BICUBIC))
