"""ImageNet-1k (ILSVRC2012): which pictures train and val have, and their classes, in each layout that is in use.

It knows nothing of shards, and nothing of what is inside a picture (one ``.JPEG`` is a PNG).
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np

from wavemix.data.raw.archives import RawFile, RawFolder, read_image
from wavemix.data.raw.items import Item, RawSet, fingerprint_of_items
from wavemix.errors import DataError

COUNTS = {"train": 1_281_167, "val": 50_000}  # Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge
DEVKIT = "ILSVRC2012_devkit_t12"
# Kaggle's pictures come in one zip; earlier downloads of it held a .tar.gz.
KAGGLE = ("imagenet_object_localization_patched2019.tar.gz", "imagenet-object-localization-challenge.zip")
SOLUTION = "LOC_val_solution.csv"
NAMES = {
    "train": re.compile(r"(?P<wnid>n\d{8})/(?P<name>(?P=wnid)_\d+)\.JPEG"),
    "val": re.compile(r"(?:(?P<wnid>n\d{8})/)?(?P<name>ILSVRC2012_val_\d{8})\.JPEG"),
}
TOLD = {"train": "<wnid>/<wnid>_<number>.JPEG", "val": "[<wnid>/]ILSVRC2012_val_<8 digits>.JPEG"}


def read(*, root: RawFolder, subset: bool) -> RawSet:
    """The pictures of train and val; a class's index is the rank of its wnid among those of train, sorted.

    In ``root`` are the tars of image-net.org, their trees ``train/<wnid>/`` and ``val/`` (flat, or in folders by wnid),
    or Kaggle's download, packed or not. Where ``val`` is flat, its labels are Kaggle's csv or the devkit's. A picture
    has the same key in each.

    Args:
        root: The user's folder.
        subset: ``train`` may hold fewer classes; they are numbered anew from 0, and the pictures of ``val`` that are of
            another class are left out.

    Raises:
        DataError: Pictures or labels are missing, misnamed or disagree, or ``val`` has a class that ``train`` has not.

    Source: readme.txt of ILSVRC2012_devkit_t12; the order of the classes is the usual one, not the devkit's.
    """
    train = list(_pictures(root, "train"))
    classes = tuple(sorted({wnid for wnid, _, _ in train}))
    rank = {wnid: index for index, wnid in enumerate(classes)}
    items = {
        "train": [Item(f"{wnid}/{name}", rank[wnid], file) for wnid, name, file in train],
        "val": list(_val(root, rank, subset)),
    }
    if not items["val"]:
        raise DataError(f"no picture of val in {root.path} has a class of train ({', '.join(classes[:5])}...)")
    return RawSet("labelled_image", classes, items, read_image, fingerprint_of_items(classes, items), COUNTS)


def _pictures(root: RawFolder, split: str) -> Iterator[tuple[str, str, RawFile]]:
    """Of each picture its wnid (empty where ``val`` is flat), its name without extension, and its file."""
    tar, kaggle = f"ILSVRC2012_img_{split}.tar", f"ILSVRC/Data/CLS-LOC/{split}"
    if root.first(split, tar):
        files = root.under(split, tar, bare=True)
    elif root.first(kaggle, *KAGGLE):
        files = root.under(kaggle, *KAGGLE)
    else:
        raise DataError(root.missing(f"{split}/", tar, f"{kaggle}/", *KAGGLE))
    pictures = [file for file in files if file.name.endswith(".JPEG")]
    if not pictures:
        found = files[0].name if files else "no file"
        raise DataError(f"looked for pictures {TOLD[split]} in {split} of {root.path}, found {found}")
    for file in pictures:
        match = NAMES[split].fullmatch(file.name)
        if not match:
            raise DataError(f"{split} of {root.path} has the picture {file.name}; looked for {TOLD[split]}")
        yield match["wnid"] or "", match["name"], file


def _val(root: RawFolder, rank: Mapping[str, int], subset: bool) -> Iterator[Item]:
    pictures = sorted(_pictures(root, "val"), key=lambda picture: picture[1])  # one order, in folders or not
    for (one_wnid, one, _), (other_wnid, other, _) in pairwise(pictures):
        if one == other:
            raise DataError(f"val of {root.path} has {one} twice, in '{one_wnid}/' and in '{other_wnid}/'")
    names = {name for wnid, name, _ in pictures if not wnid}
    truth = _truth(root) if names else {}
    unlabelled, absent = names - truth.keys(), truth.keys() - {name for _, name, _ in pictures}
    if unlabelled:
        raise DataError(f"val of {root.path} has {min(unlabelled)}.JPEG, for which its {len(truth)} labels have none")
    if absent and not subset:
        raise DataError(f"val of {root.path} lacks {len(absent)} of {len(truth)} pictures, first {min(absent)}.JPEG")
    for folder, name, file in pictures:
        wnid = folder or truth[name]
        if wnid in rank:
            yield Item(name, rank[wnid], file)
        elif not subset:
            raise DataError(f"val has {name}.JPEG of the class {wnid}, which train in {root.path} has not")


def _truth(root: RawFolder) -> dict[str, str]:
    """The wnid of each picture of ``val``, by its name without extension."""
    if root.first(SOLUTION, KAGGLE[1]):
        return _solution(root.file(SOLUTION, KAGGLE[1]))
    if not root.first(DEVKIT, f"{DEVKIT}.tar.gz"):
        raise DataError(f"val is flat; for its labels {root.missing(f'{DEVKIT}.tar.gz', f'{DEVKIT}/', SOLUTION)}")
    wnid_of = _wnids(root.file(f"{DEVKIT}/data/meta.mat", f"{DEVKIT}.tar.gz"))
    listed = root.file(f"{DEVKIT}/data/ILSVRC2012_validation_ground_truth.txt", f"{DEVKIT}.tar.gz")
    truth = {}
    for number, line in enumerate(listed.read().decode(errors="replace").splitlines(), start=1):
        if line.strip() not in wnid_of:
            raise DataError(f"{listed.name}, line {number}: looked for an ILSVRC2012_ID of meta.mat, found {line!r}")
        truth[f"ILSVRC2012_val_{number:08d}"] = wnid_of[line.strip()]
    return truth


def _solution(file: RawFile) -> dict[str, str]:
    """Kaggle's labels: ``ILSVRC2012_val_00048981,n03995372 85 1 499 272``, below a line with the columns' names."""
    truth = {}
    for number, row in enumerate(csv.reader(file.read().decode(errors="replace").splitlines()), start=1):
        words = row[1].split() if len(row) == 2 else []
        if number > 1 and words:
            truth[row[0]] = words[0]
        elif number > 1 or row != ["ImageId", "PredictionString"]:
            raise DataError(f"{file.name}, line {number}: looked for ImageId,PredictionString, found {','.join(row)!r}")
    return truth


def _wnids(file: RawFile) -> dict[str, str]:
    """The devkit's numbers of the 1000 classes, which are not the class indices; those with children are no classes."""
    try:
        from scipy.io import loadmat  # noqa: PLC0415  (an extra, needed for the devkit alone)
    except ImportError:
        raise DataError("scipy reads the devkit and is not installed; pip install 'wavemix-train[pipeline]'") from None
    content = file.read()
    try:
        synsets = np.atleast_1d(loadmat(io.BytesIO(content), squeeze_me=True)["synsets"])
        return {str(int(one["ILSVRC2012_ID"])): str(one["WNID"]) for one in synsets if one["num_children"] == 0}
    except Exception as error:  # scipy has no one kind for a damaged file
        raise DataError(f"{file.name}: cannot be read, download the devkit again: {error!r}") from None
