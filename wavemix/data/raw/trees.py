"""A user's own tree: its splits, which of its files are pictures, and that no two of them get one key.

It knows no labels and no masks.
"""

from collections.abc import Iterable
from pathlib import PurePosixPath

from wavemix.data.raw.archives import RawFile, RawFolder
from wavemix.data.raw.items import key_of
from wavemix.data.schema import SPLITS
from wavemix.errors import DataError

SUFFIXES = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm")


def splits_of(root: RawFolder) -> dict[str, list[RawFile]]:
    """The files of ``train`` and of what there is of ``val`` and ``test``: folders, or archives that hold them.

    Raises:
        DataError: ``train`` is missing, or both others are.
    """
    archives = {split: (f"{split}.zip", f"{split}.tar") for split in SPLITS}
    there = [split for split in SPLITS if root.first(split, *archives[split])]
    if "train" not in there or len(there) == 1:
        raise DataError(root.missing("train/ and at least one of val/ and test/"))
    return {split: root.under(split, *archives[split]) for split in there}


def pictures_of(files: Iterable[RawFile], folder: str) -> dict[str, RawFile]:
    """Those of the files that are pictures, by their keys.

    Args:
        files: With names relative to ``folder``.
        folder: Where they lie, for messages.

    Raises:
        DataError: There is none, or two would get the same key.
    """
    pictures: dict[str, RawFile] = {}
    for file in files:
        if suffix_of(file) in SUFFIXES:
            other = pictures.setdefault(key_of(file.name), file)
            if other is not file:
                raise DataError(f"{folder}/{other.name} and {file.name} would get the same key; rename one")
    if not pictures:
        raise DataError(f"no picture in {folder}/; looked for *.{{{','.join(SUFFIXES)}}} at any depth")
    return pictures


def suffix_of(file: RawFile) -> str:
    """Without the dot, in lower case."""
    return PurePosixPath(file.name).suffix[1:].lower()
