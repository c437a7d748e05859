"""A user's own pictures with a mask each: ``<root>/<split>/images/x.jpg`` beside ``<root>/<split>/masks/x.png``.

It decides which mask belongs to which picture, and which class numbers are ignored; it knows nothing of shards.
"""

from functools import partial

import numpy as np

from wavemix.data.admit import Rejected
from wavemix.data.decode import decode_mask, encode_png
from wavemix.data.raw.archives import RawFile, RawFolder
from wavemix.data.raw.items import Item, Parts, RawSet, fingerprint_of
from wavemix.data.raw.trees import pictures_of, splits_of
from wavemix.data.schema import IGNORED
from wavemix.errors import DataError


def read(*, root: RawFolder, classes: tuple[str, ...], void: tuple[int, ...]) -> RawSet:
    """The pictures of each split in the order of their paths; a mask has its picture's path but for the extension.

    A split may also be a ``<split>.zip`` or ``<split>.tar`` that holds the folder.

    Args:
        root: The user's folder.
        classes: Names, in the order of the class numbers in the masks.
        void: Class numbers that become 255 (ignored); masks are handed over byte for byte if there are none.

    Raises:
        DataError: ``train`` or both others are missing, a split is empty, or a picture or a mask is alone.
    """
    items = {split: _items(files, f"{root.path}/{split}") for split, files in splits_of(root).items()}
    return _raw_set(items, classes, void)


def read_folder(*, root: RawFolder, classes: tuple[str, ...], void: tuple[int, ...]) -> RawSet:
    """The pictures of one folder with ``images`` and ``masks``, such as a split of the above, as split ``test``.

    Raises:
        DataError: There is none, or a picture or a mask is alone.
    """
    return _raw_set({"test": _items(root.under(""), str(root.path))}, classes, void)


def _raw_set(items: dict[str, list[Item]], classes: tuple[str, ...], void: tuple[int, ...]) -> RawSet:
    told = ((split, file.name, file.size) for split in items for item in items[split] for file in item.what)
    return RawSet("image_with_mask", classes, items, partial(_read, void), fingerprint_of([void, *told]))


def _items(files: list[RawFile], folder: str) -> list[Item]:
    images, masks = (pictures_of(_below(part, files), f"{folder}/{part}") for part in ("images", "masks"))
    for key in sorted(images.keys() ^ masks.keys()):
        (there, lacks), file = (
            (("images", "masks"), images[key]) if key in images else (("masks", "images"), masks[key])
        )
        raise DataError(f"{folder}/{there}/{file.name} has none of its name in {folder}/{lacks}")
    return [Item(key, None, (images[key], masks[key])) for key in images]


def _below(part: str, files: list[RawFile]) -> list[RawFile]:
    return [
        file._replace(name=file.name.removeprefix(f"{part}/")) for file in files if file.name.startswith(f"{part}/")
    ]


def _read(void: tuple[int, ...], pair: tuple[RawFile, RawFile]) -> Parts:
    image, mask = pair[0].read(), pair[1].read()
    if void:
        try:
            numbers = decode_mask(mask)
        except ValueError as error:
            raise Rejected(f"mask: cannot be decoded: {error}") from None
        mask = encode_png(np.where(np.isin(numbers, void), np.uint8(IGNORED), numbers))
    return {"image": image, "mask": mask}
