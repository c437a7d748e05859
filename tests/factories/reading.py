"""Raw sets read from small trees, and what of them is compared."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from factories.pack import Tree, as_folder
from wavemix.data.raw.archives import RawFolder
from wavemix.data.raw.items import RawSet

Reader = Callable[..., RawSet]


def root(folder: Path, tree: Tree, name: str = "raw") -> RawFolder:
    """The tree as the user's folder, and a scratch folder beside it."""
    return RawFolder(as_folder(folder / name, tree), folder / "scratch")


def reader(read: Reader, folder: Path, **usual: Any) -> Reader:
    """A source's reader that takes a tree; it is written to ``folder/name``. ``usual`` holds unless told otherwise."""

    def read_tree(tree: Tree, *, name: str = "raw", **options: Any) -> RawSet:
        return read(root=root(folder, tree, name), **{**usual, **options})

    return read_tree


def contents_of(raw: RawSet) -> dict[str, list[tuple[str, int | None, Mapping[str, bytes]]]]:
    """Key, label and parts of all samples: all of a raw set but where its files lie."""
    return {
        split: [(item.key, item.label, raw.read(item.what)) for item in items] for split, items in raw.items.items()
    }


def samples(raw: RawSet, split: str) -> list[tuple[str, int | None, NDArray[np.uint8]]]:
    """Key, label and pixels of each, read as another process would."""
    pictures = [Image.open(io.BytesIO(raw.read(item.what)["image"])) for item in raw.items[split]]
    return [(item.key, item.label, np.asarray(one)) for item, one in zip(raw.items[split], pictures, strict=True)]
