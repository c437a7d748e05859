"""Five colour photographs that scikit-image ships, cut into tiles: pictures to try things on without a download.

It decides which photograph is in which split, so that no two splits share one. It knows nothing of shards.
"""

import importlib.util
from functools import cache, partial
from pathlib import Path

from wavemix.data.decode import UInt8Image, decode_image, encode_png, size_of
from wavemix.data.raw.archives import RawFile, RawFolder
from wavemix.data.raw.items import Item, Parts, RawSet, fingerprint_of
from wavemix.data.resize import crop_to_multiple, imresize
from wavemix.errors import DataError

# The others in colour are no photographs of everyday things (a galaxy field, a retina, stained tissue, a colour wheel),
# or the right half of the stereo pair whose left half is here.
PHOTOGRAPHS = {
    "train": ("astronaut.png", "motorcycle_left.png", "rocket.jpg"),
    "val": ("chelsea.png",),
    "test": ("coffee.png",),
}


def read(*, tile: int, scales: tuple[int, ...] = ()) -> RawSet:
    """The tiles of each photograph from the top left on, row by row; what is left at the bottom and right is dropped.

    Args:
        tile: Side of a tile in pixels.
        scales: Of 2, 3 and 4: those in which there are low resolutions too, made by ``imresize``. They are cut from the
            whole photograph made small: at the edge of a tile they tell of what lies beyond it, as a crop of a
            published pair does, and not of its mirror image.

    Raises:
        DataError: scikit-image or a photograph is not there, or a tile is larger than one of them, or no multiple of a
            scale.

    Source: the folder ``data`` of the package scikit-image, which needs no network.
    """
    for scale in scales:
        if tile % scale:
            raise DataError(f"a tile of {tile} pixels cannot be cut at x{scale}; take a multiple of {scale}")
    folder = _folder()
    files = {split: [folder.file(name) for name in names] for split, names in PHOTOGRAPHS.items()}
    contents = {file.name: file.read() for some in files.values() for file in some}
    items = {
        split: [item for file in some for item in _tiles(file, size_of(contents[file.name]), tile)]
        for split, some in files.items()
    }
    fingerprint = fingerprint_of([tile, *scales, *contents.items()])
    if not scales:
        return RawSet("image", (), items, _read, fingerprint)
    return RawSet("image_pair", (), items, partial(_read_pair, scales), fingerprint)


def _read(where: tuple[RawFile, int, int, int]) -> Parts:
    return {"image": _tile(where)}


def _read_pair(scales: tuple[int, ...], where: tuple[RawFile, int, int, int]) -> Parts:
    return {"hr": _tile(where), **{f"x{scale}": _tile(where, scale) for scale in scales}}


def _tile(where: tuple[RawFile, int, int, int], scale: int = 1) -> bytes:
    file, *bounds = where
    top, left, tile = (bound // scale for bound in bounds)
    return encode_png(_pixels(file, scale)[top : top + tile, left : left + tile])


@cache  # all of them, in all scales, have 6 MB
def _pixels(file: RawFile, scale: int) -> UInt8Image:
    pixels = decode_image(file.read())
    return pixels if scale == 1 else imresize(crop_to_multiple(pixels, scale), 1 / scale)


def _tiles(file: RawFile, size: tuple[int, int], tile: int) -> list[Item]:
    rows, columns = size[0] // tile, size[1] // tile
    if rows * columns == 0:
        raise DataError(f"no tile of {tile} pixels fits into {file.name}, which has {size[1]}x{size[0]}")
    stem = Path(file.name).stem
    return [
        Item(f"{stem}/{row:02d}_{column:02d}", None, (file, row * tile, column * tile, tile))
        for row in range(rows)
        for column in range(columns)
    ]


def _folder() -> RawFolder:
    package = importlib.util.find_spec("skimage")  # not imported: that takes a second, for five files
    if package is None or package.origin is None:
        raise DataError("scikit-image is not installed; pip install 'wavemix-train[pipeline]'")
    return RawFolder(Path(package.origin).parent / "data", Path())
