"""Five colour photographs that scikit-image ships, cut into tiles: pictures to try things on without a download.

It decides which photograph is in which split, so that no two splits share one. It knows nothing of shards.
"""

import importlib.util
from pathlib import Path

from wavemix.data.raw.archives import RawFolder
from wavemix.data.raw.items import RawSet, fingerprint_of
from wavemix.data.raw.tiles import tiled
from wavemix.errors import DataError

# The others in colour are no photographs of everyday things (a galaxy field, a retina, stained tissue, a colour wheel),
# or the right half of the stereo pair whose left half is here.
PHOTOGRAPHS = {
    "train": ("astronaut.png", "motorcycle_left.png", "rocket.jpg"),
    "val": ("chelsea.png",),
    "test": ("coffee.png",),
}


def read(*, tile: int, scales: tuple[int, ...] = ()) -> RawSet:
    """The photographs in tiles of ``tile`` pixels, in pairs where there are ``scales``, as `tiled` cuts them.

    Raises:
        DataError: scikit-image or a photograph is not there, or `tiled` raises it.

    Source: the folder ``data`` of the package scikit-image, which needs no network.
    """
    folder = _folder()
    files = {split: {Path(name).stem: folder.file(name) for name in names} for split, names in PHOTOGRAPHS.items()}
    contents = [(file.name, file.read()) for some in files.values() for file in some.values()]
    return tiled(files, tile=tile, scales=scales, fingerprint=fingerprint_of([tile, *scales, *contents]))


def _folder() -> RawFolder:
    package = importlib.util.find_spec("skimage")  # not imported: that takes a second, for five files
    if package is None or package.origin is None:
        raise DataError("scikit-image is not installed; pip install 'wavemix-train[pipeline]'")
    return RawFolder(Path(package.origin).parent / "data", Path())
