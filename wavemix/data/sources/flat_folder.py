"""A user's own pictures without labels, in one folder or anywhere below it: whole or in tiles, alone or in pairs.

The split is drawn from a seed, picture by picture. It knows nothing of shards, and nothing of what is inside a picture.
"""

from wavemix.data.raw.archives import RawFolder, read_image
from wavemix.data.raw.items import Item, RawSet, fingerprint_of, split_by_class
from wavemix.data.raw.pairs import Pair, reader_of
from wavemix.data.raw.tiles import tiled
from wavemix.data.raw.trees import pictures_of
from wavemix.errors import DataError


def read(
    *,
    root: RawFolder,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    tile: int | None = None,
    scales: tuple[int, ...] = (),
    shortest_side: int | None = None,
    min_detail: float = 0.0,
) -> RawSet:
    """All pictures, in the order of their paths; the rest after ``val`` and ``test`` is ``train``.

    Args:
        root: The folder.
        val_fraction, test_fraction: Shares of the pictures, also where these are cut into tiles.
        seed: Chooses them.
        tile: Side in pixels of the tiles that each is cut into; None: they stay whole.
        scales: Of 2, 3 and 4: those in which there are low resolutions too, made by ``imresize``.
        shortest_side: A picture whose shorter side is longer is brought to this before it is cut into tiles.
        min_detail: Tiles with less are left out (`detail_of`).

    Raises:
        DataError: There is no picture, two would get the same key, the fractions leave none for ``train``, or they
            cannot be cut like this (`tiled`).
    """
    pictures = list(pictures_of(root.under(""), str(root.path)).items())
    splits = split_by_class([0] * len(pictures), {"val": val_fraction, "test": test_fraction}, seed)
    files = {split: dict(pictures[index] for index in indices) for split, indices in splits.items()}
    fingerprint = fingerprint_of((file.name, file.size) for _, file in pictures)
    if tile is not None:
        return tiled(
            files,
            tile=tile,
            scales=scales,
            shortest_side=shortest_side,
            min_detail=min_detail,
            fingerprint=fingerprint,
        )
    if shortest_side or min_detail:
        raise DataError("shortest_side and min_detail are for pictures that are cut into tiles; give tile too")
    if scales:
        pairs = {
            split: [Item(key, None, Pair(file, {})) for key, file in some.items()] for split, some in files.items()
        }
        return RawSet("image_pair", (), pairs, reader_of("made", scales), fingerprint)
    items = {split: [Item(key, None, file) for key, file in some.items()] for split, some in files.items()}
    return RawSet("image", (), items, read_image, fingerprint)
