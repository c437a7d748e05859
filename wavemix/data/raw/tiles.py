"""Photographs cut into tiles, alone or with their low resolutions. It knows no data set, and not how splits are drawn.

A tile is cut when it is read. The last few photographs are kept: where tiles come in their order, each is decoded once.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from itertools import product
from typing import NamedTuple

import numpy as np
from PIL import Image

from wavemix.data.admit import Rejected
from wavemix.data.decode import UInt8Image, decode_image, encode_png, size_of
from wavemix.data.raw.archives import RawFile
from wavemix.data.raw.items import Item, Parts, RawSet
from wavemix.data.resize import KERNEL_WIDTH, crop_to_multiple, imresize
from wavemix.errors import DataError


class Tile(NamedTuple):
    """A square of a photograph, in pixels of what is left of it after ``shortest_side``."""

    file: RawFile
    shortest_side: int | None
    top: int
    left: int
    side: int


def tiled(
    files: Mapping[str, Mapping[str, RawFile]],
    *,
    tile: int,
    scales: tuple[int, ...],
    shortest_side: int | None = None,
    min_detail: float = 0.0,
    fingerprint: str,
) -> RawSet:
    """The tiles of each photograph from the top left on, row by row; what is left at the bottom and right is dropped.

    Args:
        files: The photographs of each split, by their keys.
        tile: Side of a tile in pixels.
        scales: Of 2, 3 and 4: those in which there are low resolutions too, made by ``imresize``. They are cut from the
            whole photograph made small: at the edge of a tile they tell of what lies beyond it, as a crop of a
            published pair does, and not of its mirror image.
        shortest_side: A photograph whose shorter side is longer is first brought to this (bicubic).
        min_detail: Tiles with less (`detail_of`) are left out; above 0, photographs are decoded to list them.
        fingerprint: Of the photographs.

    Raises:
        DataError: A photograph is none, or too small for a tile, or the tile is no multiple of a scale.
    """
    for scale in scales:
        if tile % scale:
            raise DataError(f"a tile of {tile} pixels cannot be cut at x{scale}; take a multiple of {scale}")
    items = {
        split: [item for key, file in some.items() for item in _tiles(key, file, shortest_side, tile, min_detail)]
        for split, some in files.items()
    }
    return RawSet("image_pair" if scales else "image", (), items, partial(_read, scales), fingerprint)


def detail_of(image: UInt8Image) -> float:
    """How much neighbouring pixels differ, in the mean over both directions and all channels: 0 to 255.

    Of tiles of photographs, those below 4 or so are sky and what is out of focus: interpolation enlarges them well.
    """
    values = image.astype(np.int16)
    return float(sum(np.abs(np.diff(values, axis=axis)).mean() for axis in (0, 1)) / 2)


def _tiles(key: str, file: RawFile, shortest_side: int | None, side: int, min_detail: float) -> Iterator[Item]:
    try:
        height, width = _smaller(*size_of(file.read()), shortest_side)
        pixels = _pixels(file, shortest_side) if min_detail > 0 else None
    except ValueError as error:
        raise DataError(f"{file.name} cannot be decoded: {error}; mend it or take it away") from None
    if min(height, width) < side:
        raise DataError(
            f"no tile of {side} pixels fits into {file.name}, which has {width}x{height}; lower tile or leave it out"
        )
    for row, column in product(range(height // side), range(width // side)):
        what = Tile(file, shortest_side, row * side, column * side, side)
        if pixels is None or detail_of(_cut(pixels, what)) >= min_detail:
            yield Item(f"{key}/{row:02d}_{column:02d}", None, what)


def _read(scales: tuple[int, ...], tile: Tile) -> Parts:
    try:
        pixels = _pixels(tile.file, tile.shortest_side)
    except ValueError as error:
        raise Rejected(f"{tile.file.name} cannot be decoded: {error}") from None
    part = encode_png(_cut(pixels, tile))
    if not scales:
        return {"image": part}
    return {"hr": part, **{f"x{scale}": encode_png(_low(pixels, tile, scale)) for scale in scales}}


def _cut(pixels: UInt8Image, tile: Tile) -> UInt8Image:
    return pixels[tile.top : tile.top + tile.side, tile.left : tile.left + tile.side]


def _low(pixels: UInt8Image, tile: Tile, scale: int) -> UInt8Image:
    """What the photograph made small has at the tile's place. Only what is near is made small: of a whole photograph,
    ``imresize`` would fill gigabytes."""
    near = KERNEL_WIDTH * scale  # all that a pixel is made of lies within half of this
    top, left = max(0, tile.top - near), max(0, tile.left - near)
    around = crop_to_multiple(pixels, scale)[top : tile.top + tile.side + near, left : tile.left + tile.side + near]
    row, column, side = ((pixel // scale) for pixel in (tile.top - top, tile.left - left, tile.side))
    return imresize(around, 1 / scale)[row : row + side, column : column + side]


@lru_cache(maxsize=4)  # a process holds no more than these, whatever order the tiles come in
def _pixels(file: RawFile, shortest_side: int | None) -> UInt8Image:
    pixels = decode_image(file.read())
    height, width = _smaller(pixels.shape[0], pixels.shape[1], shortest_side)
    if (height, width) == pixels.shape[:2]:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def _smaller(height: int, width: int, shortest_side: int | None) -> tuple[int, int]:
    short = min(height, width)
    if shortest_side is None or short <= shortest_side:
        return height, width
    return round(height * shortest_side / short), round(width * shortest_side / short)
