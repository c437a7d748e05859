"""Tiny ImageNet: the pictures of train and val, and their classes.

It knows nothing of shards, and nothing of what is inside a picture. Those of ``test`` have no labels and are not read.
"""

import re
from collections.abc import Iterator

from wavemix.data.raw.archives import RawFile, RawFolder, read_image
from wavemix.data.raw.counterparts import with_labels
from wavemix.data.raw.items import Item, RawSet, fingerprint_of_items
from wavemix.errors import DataError

COUNTS = {"train": 100_000, "val": 10_000}  # 500 and 50 of each of 200 classes: wnids.txt and the folders themselves
FOLDER = "tiny-imagenet-200"
ZIP = "tiny-imagenet-200.zip"
TRAIN = re.compile(r"(n\d{8})/images/(\1_\d+)\.JPEG")


def read(*, root: RawFolder, subset: bool) -> RawSet:
    """The pictures of train and val by name; a class's index is the rank of its wnid in ``wnids.txt``, sorted.

    Args:
        root: The user's folder, with the zip as published or the folder in it.
        subset: Pictures may be absent, and those of a class that ``wnids.txt`` does not name are left out.

    Raises:
        DataError: Pictures or labels are missing, or disagree.

    Source: tiny-imagenet-200.zip of the course CS231n.
    """
    classes = tuple(sorted({line.strip() for line in _lines(root, "wnids.txt") if line.strip()}))
    rank = {wnid: index for index, wnid in enumerate(classes)}
    items: dict[str, list[Item]] = {}
    for split, pictures in {"train": _train(root), "val": _val(root, subset)}.items():
        items[split] = []
        for key, wnid, file in pictures:
            if wnid in rank:
                items[split].append(Item(key, rank[wnid], file))
            elif not subset:
                raise DataError(f"{split} has {file.name} of the class {wnid!r}, which wnids.txt has not")
        if not items[split]:
            raise DataError(f"no picture (.JPEG) of a class of wnids.txt in {FOLDER}/{split} of {root.path}")
    return RawSet("labelled_image", classes, items, read_image, fingerprint_of_items(classes, items), COUNTS)


def _train(root: RawFolder) -> Iterator[tuple[str, str, RawFile]]:
    """Key, wnid and file of each picture; boxes lie beside them and are no concern of a classifier."""
    for file in root.under(f"{FOLDER}/train", ZIP):
        if file.name.endswith(".JPEG"):
            match = TRAIN.fullmatch(file.name)
            if not match:
                raise DataError(f"train has {file.name}; looked for <wnid>/images/<wnid>_<number>.JPEG")
            yield f"{match[1]}/{match[2]}", match[1], file


def _val(root: RawFolder, subset: bool) -> Iterator[tuple[str, str, RawFile]]:
    wnid_of = {}
    for number, line in enumerate(_lines(root, "val/val_annotations.txt"), start=1):
        name, *rest = line.split("\t")  # name, wnid and a box
        if not rest:
            raise DataError(f"val_annotations.txt, line {number}: looked for name and wnid, found {line!r}")
        wnid_of[name] = rest[0]
    told = "val/images/ and val_annotations.txt"
    files = root.under(f"{FOLDER}/val/images", ZIP)
    for file, wnid in with_labels(files, ".JPEG", wnid_of, told=told, subset=subset):
        yield file.name.removesuffix(".JPEG"), wnid, file


def _lines(root: RawFolder, name: str) -> list[str]:
    return root.file(f"{FOLDER}/{name}", ZIP).read().decode(errors="replace").splitlines()
