"""CelebA-HQ: its pictures by number, in the splits of CelebA or of LaMa.

It decides in which of its forms the set lies there, and which split a picture belongs to. It knows nothing of shards.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from wavemix.data.decode import encode_png
from wavemix.data.raw.archives import RawFile, RawFolder, read_image
from wavemix.data.raw.items import Item, Parts, RawSet, fingerprint_of
from wavemix.data.raw.trees import SUFFIXES, suffix_of
from wavemix.data.schema import SPLITS
from wavemix.errors import DataError

NUM_PICTURES = 30_000  # Karras et al. 2018
COUNTS = {
    "celeba": {"train": 24_183, "val": 2_993, "test": 2_824},
    "lama": {"train": 26_000, "val": 2_000, "test": 2_000},
}

MASK_HQ = "CelebAMask-HQ.zip"
MASK_HQ_FOLDERS = ("CelebAMask-HQ/CelebA-HQ-img", "CelebA-HQ-img")
SMALL = "data256x256"
H5 = tuple(f"celeba-hq-{side}x{side}.h5" for side in (1024, 512, 256, 128, 64))
DELTAS = ("deltas00000.zip", "delta00000.dat")

MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
DELTAS_LIST = "image_list.txt"  # comes with the deltas, and begins with the same three columns
ORIGINALS_OF_TRAIN, ORIGINALS_OF_TRAIN_AND_VAL = 162_770, 182_637  # list_eval_partition.txt of CelebA, in its order
LAMA_LISTS = ("val_shuffled.flist", "train_shuffled.flist")


class Form(NamedTuple):
    """The pictures by number, how one of them is read, and what the fingerprint is made of."""

    pictures: dict[int, Any]
    read: Callable[[Any], Parts]
    told: list[Any]


class Splits(NamedTuple):
    """Numbers by split, and the content of the lists that decided it."""

    numbers: dict[str, list[int]]
    lists: tuple[bytes, ...]


def read(*, root: RawFolder, split: str, subset: bool) -> RawSet:
    """The pictures in the order of their numbers; keys have five digits and start at ``00000`` in every form.

    The forms: ``CelebAMask-HQ.zip``; ``data256x256.zip``, numbered from 1; ``celeba-hq-1024x1024.h5`` of h5tool.py;
    numbered pictures in a folder. That all have one order is what their users take for granted: nothing in them tells.
    The TFRecords of dataset_tool.py are shuffled, and so is what it extracts of them.

    Args:
        root: The user's folder with one of the forms, as an archive or unpacked.
        split: ``celeba``, as CelebA has the pictures that these were made from; or ``lama``, whose test is LaMa's own,
            while its val is drawn from the other list without a seed, and ours are the first 2,000 there.
        subset: Pictures may be absent.

    Raises:
        DataError: There is no form or more than one, a picture has no number, it cannot be told whether the first one
            is 0 or 1, or a list that decides the split is missing or disagrees with the pictures.

    Source: list_eval_partition.txt of CelebA and CelebA-HQ-to-CelebA-mapping.txt of CelebAMask-HQ (or image_list.txt of
    the deltas), with the mapping's orig_idx counted from 0; g_partition.py of CelebAMask-HQ puts the bounds one later.
    For LaMa, its fetch_data/celebahq_dataset_prepare.sh with val_shuffled.flist and train_shuffled.flist.
    """
    form = _form_in(root)
    numbers = sorted(form.pictures)
    splits = _as_celeba(root, numbers, subset=subset) if split == "celeba" else _as_lama(root, numbers)
    return RawSet(
        schema="image",
        classes=(),
        items={
            one: [Item(f"{number:05d}", None, form.pictures[number]) for number in some]
            for one, some in splits.numbers.items()
        },
        read=form.read,
        fingerprint=fingerprint_of([*form.told, *splits.lists]),
        expected=COUNTS[split],
    )


# --- forms: in all of them, numbers are made to start at 0 ----------------------------------------------------------


def _form_in(root: RawFolder) -> Form:
    """The only form that is there."""
    large, small, h5 = root.first(*MASK_HQ_FOLDERS, MASK_HQ), root.first(SMALL, f"{SMALL}.zip"), root.first(*H5)
    there = [name for name in (large, small, h5) if name]
    if len(there) > 1:
        raise DataError(f"{root.path} has {' and '.join(there)}; leave the one that is meant")
    if h5:
        return _in_h5(root.file(h5))
    if large:
        return _in_files(root.under(large if large != MASK_HQ else MASK_HQ_FOLDERS[0], MASK_HQ), f"{root.path}/{large}")
    if small:
        return _in_files(root.under(SMALL, f"{SMALL}.zip", bare=True), f"{root.path}/{small}")
    if deltas := root.first(*DELTAS):
        raise DataError(
            f"{root.path} has {deltas}: deltas are no pictures yet; make {H5[0]} of them and CelebA with h5tool.py "
            "(progressive_growing_of_gans), or take CelebAMask-HQ.zip"
        )
    if not root.path.is_dir():
        raise DataError(root.missing(MASK_HQ, f"{SMALL}.zip", H5[0]))
    return _in_files(root.under(""), str(root.path))


def _in_files(files: Iterable[RawFile], where: str) -> Form:
    found: dict[int, RawFile] = {}
    for file in files:
        if suffix_of(file) in SUFFIXES:
            stem = PurePosixPath(file.name).stem
            if not stem.isdecimal():
                raise DataError(f"{file.name} in {where}: looked for numbers as names, such as 00000.png")
            other = found.setdefault(int(stem), file)
            if other is not file:
                raise DataError(f"{other.name} and {file.name} in {where} have the same number")
    if not found:
        raise DataError(f"no picture in {where}; looked for {MASK_HQ}, {SMALL}.zip, {H5[0]} or 00000.png")
    if (0 in found) == (NUM_PICTURES in found):
        raise DataError(
            f"the pictures in {where} start at {found[min(found)].name} and end at {found[max(found)].name}: whether "
            f"they are counted from 0 or from 1 is told by the number 0 or the number {NUM_PICTURES}; one must be there"
        )
    first = 0 if 0 in found else 1
    pictures = {number - first: file for number, file in found.items()}
    return Form(pictures, read_image, [(number, pictures[number].size) for number in sorted(pictures)])


def _in_h5(file: RawFile) -> Form:
    h5 = _open(file.holder)
    names = sorted((name for name in h5 if name.startswith("data")), key=lambda name: int(h5[name].shape[-1]))
    if not names:
        raise DataError(f"{file.holder}: looked for data1024x1024, found {', '.join(h5) or 'nothing'}")
    count = len(h5[names[-1]])
    return Form({row: (file, names[-1], row) for row in range(count)}, _read_row, [(file.name, file.size, count)])


def _read_row(what: tuple[RawFile, str, int]) -> Parts:
    file, name, row = what
    try:
        planes = _open(file.holder)[name][row]
    except OSError as error:
        raise DataError(f"{file.holder}: cannot read picture {row}: {error}") from None
    return {"image": encode_png(np.ascontiguousarray(planes.transpose(1, 2, 0)))}


@lru_cache(maxsize=1)
def _open(path: str) -> Any:
    try:
        import h5py  # noqa: PLC0415  (an extra, needed for this form alone)

        return h5py.File(path, "r")
    except ImportError:
        raise DataError("h5py is not installed; pip install 'wavemix-train[pipeline]'") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error}; make it again") from None


# --- splits ---------------------------------------------------------------------------------------------------------


def _as_celeba(root: RawFolder, numbers: Sequence[int], *, subset: bool) -> Splits:
    name = root.first(MAPPING, f"CelebAMask-HQ/{MAPPING}", DELTAS_LIST) or MAPPING
    try:
        file = root.file(name, MASK_HQ)
    except DataError as error:
        raise DataError(f"{error}; {MAPPING} is in {MASK_HQ}") from None
    originals = _originals(file)
    for number in numbers:
        if number not in originals:
            raise DataError(f"{file.name} has no line for the picture {number}")
    if not subset and (alone := sorted(originals.keys() - set(numbers))):
        raise DataError(f"{file.name} has a line for the picture {alone[0]}, which is not there")
    split_of = {
        number: "train" if original < ORIGINALS_OF_TRAIN else "val" if original < ORIGINALS_OF_TRAIN_AND_VAL else "test"
        for number, original in originals.items()
    }
    return Splits(_grouped(numbers, split_of), (file.read(),))


def _as_lama(root: RawFolder, numbers: Sequence[int]) -> Splits:
    if missing := [name for name in LAMA_LISTS if not root.first(name)]:
        raise DataError(
            f"{root.missing(*missing)}\nthe split of LaMa is in {' and '.join(LAMA_LISTS)}, which are in the folder "
            f"fetch_data of its repository: put both into {root.path}"
        )
    files = [root.file(name) for name in LAMA_LISTS]
    test, others = (_listed(file) for file in files)
    if twice := set(test) & set(others):
        raise DataError(f"{' and '.join(LAMA_LISTS)} both have the picture {min(twice)}")
    parts = {"train": others[2_000:], "val": others[:2_000], "test": test}
    split_of = {number: split for split, some in parts.items() for number in some}
    for number in numbers:
        if number not in split_of:
            raise DataError(f"the picture {number} is in none of {' and '.join(LAMA_LISTS)}")
    return Splits(_grouped(numbers, split_of), tuple(file.read() for file in files))


def _grouped(numbers: Sequence[int], split_of: Mapping[int, str]) -> dict[str, list[int]]:
    groups = {split: [number for number in numbers if split_of[number] == split] for split in SPLITS}
    return {split: some for split, some in groups.items() if some}


def _originals(file: RawFile) -> dict[int, int]:
    """CelebA's number of each picture, both from 0."""
    originals = {}
    for row, line in enumerate(file.read().decode(errors="replace").splitlines(), 1):
        found = re.match(r"\s*(\d+)\s+(\d+)\s+(\d+)\.jpg\b", line)
        if found and int(found[3]) == int(found[2]) + 1:
            originals[int(found[1])] = int(found[2])
        elif line.strip() and row > 1:  # the first is a header
            raise DataError(f"{file.name}, line {row}: looked for `idx orig_idx orig_file`, found {line[:80]!r}")
    return originals


def _listed(file: RawFile) -> list[int]:
    lines = file.read().decode(errors="replace").split()
    for row, line in enumerate(lines, 1):
        if not re.fullmatch(r"\d+\.(jpg|png)", line):
            raise DataError(f"{file.name}, line {row}: looked for a name such as 0.jpg, found {line[:80]!r}")
    return [int(line.partition(".")[0]) for line in lines]
