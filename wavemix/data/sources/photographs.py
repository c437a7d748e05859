"""Five colour photographs that scikit-image ships, cut into tiles: pictures to try things on without a download.

It decides which photograph is in which split, so that no two splits share one. It knows nothing of shards.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path

from wavemix.data.decode import UInt8Image, decode_image, encode_png, size_of
from wavemix.data.raw.archives import RawFile, RawFolder
from wavemix.data.raw.items import Item, Parts, RawSet, fingerprint_of
from wavemix.errors import DataError

# The others in colour are no photographs of everyday things (a galaxy field, a retina, stained tissue, a colour wheel),
# or the right half of the stereo pair whose left half is here.
PHOTOGRAPHS = {
    "train": ("astronaut.png", "motorcycle_left.png", "rocket.jpg"),
    "val": ("chelsea.png",),
    "test": ("coffee.png",),
}


def read(*, tile: int) -> RawSet:
    """The tiles of each photograph from the top left on, row by row; what is left at the bottom and right is dropped.

    Args:
        tile: Side of a tile in pixels.

    Raises:
        DataError: scikit-image or a photograph is not there, or a tile is larger than one of them.

    Source: the folder ``data`` of the package scikit-image, which needs no network.
    """
    folder = _folder()
    files = {split: [folder.file(name) for name in names] for split, names in PHOTOGRAPHS.items()}
    contents = {file.name: file.read() for some in files.values() for file in some}
    items = {
        split: [item for file in some for item in _tiles(file, size_of(contents[file.name]), tile)]
        for split, some in files.items()
    }
    return RawSet("image", (), items, _read, fingerprint_of([tile, *contents.items()]))


def _read(where: tuple[RawFile, int, int, int]) -> Parts:
    file, top, left, tile = where
    return {"image": encode_png(_pixels(file)[top : top + tile, left : left + tile])}


@lru_cache(maxsize=2)  # tiles of one photograph follow each other, unless they are shuffled
def _pixels(file: RawFile) -> UInt8Image:
    return decode_image(file.read())


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
