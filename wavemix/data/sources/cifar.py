"""CIFAR-10 and CIFAR-100 (fine classes): 32x32 pixels in colour, as binary records or as pickled batches.

It knows nothing of shards. A part of the training set may be drawn as ``val``; neither has a published one.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wavemix.data.raw.archives import RawFile, RawFolder
from wavemix.data.raw.arrays import Part, labelled
from wavemix.data.raw.items import RawSet
from wavemix.data.raw.pickles import read_dict
from wavemix.errors import DataError

TRAIN, TEST = 50_000, 10_000  # of both sets, as their page says
NUM_PIXELS = 3 * 32 * 32


class Form(NamedTuple):
    """How a set is published; every form has the same pictures in the same order."""

    folder: str
    archive: str  # holds the folder
    train: tuple[str, ...]
    test: tuple[str, ...]
    classes: str  # the file with their names
    label_bytes: int  # before the pixels of a binary record, of which the last counts; 0 for pickled batches
    key: bytes = b""  # under which a pickled batch has its labels, without the s


BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
CIFAR10 = (
    Form(
        folder="cifar-10-batches-bin",
        archive="cifar-10-binary.tar.gz",
        train=tuple(f"{batch}.bin" for batch in BATCHES),
        test=("test_batch.bin",),
        classes="batches.meta.txt",
        label_bytes=1,
    ),
    Form(
        folder="cifar-10-batches-py",
        archive="cifar-10-python.tar.gz",
        train=BATCHES,
        test=("test_batch",),
        classes="batches.meta",
        label_bytes=0,
        key=b"label",
    ),
)
CIFAR100 = (
    Form(
        folder="cifar-100-binary",
        archive="cifar-100-binary.tar.gz",
        train=("train.bin",),
        test=("test.bin",),
        classes="fine_label_names.txt",
        label_bytes=2,
    ),
    Form(
        folder="cifar-100-python",
        archive="cifar-100-python.tar.gz",
        train=("train",),
        test=("test",),
        classes="meta",
        label_bytes=0,
        key=b"fine_label",
    ),
)


def read_cifar10(*, root: RawFolder, val_fraction: float, seed: int) -> RawSet:
    """CIFAR-10 in the order of its batches.

    Raises:
        DataError: A file is missing or damaged, labels do not fit, or nothing is left to train on.

    Source: cifar-10-binary.tar.gz or cifar-10-python.tar.gz of Krizhevsky, or the folder in either.
    """
    return _read("cifar10", CIFAR10, root, val_fraction, seed)


def read_cifar100(*, root: RawFolder, val_fraction: float, seed: int) -> RawSet:
    """CIFAR-100 in the order of its files, with the 100 fine classes.

    Raises:
        DataError: As with CIFAR-10.

    Source: cifar-100-binary.tar.gz or cifar-100-python.tar.gz of Krizhevsky, or the folder in either.
    """
    return _read("cifar100", CIFAR100, root, val_fraction, seed)


def _read(name: str, forms: tuple[Form, ...], root: RawFolder, val_fraction: float, seed: int) -> RawSet:
    there = root.first(*(one for form in forms for one in (form.folder, form.archive)))
    for form in forms:
        if there in (form.folder, form.archive):
            parts = {"train": _part(root, form, form.train, TRAIN), "test": _part(root, form, form.test, TEST)}
            return labelled(name, parts, {"val": val_fraction}, seed, _classes(root, form), root)
    raise DataError(root.missing(*(form.archive for form in forms)))


def _part(root: RawFolder, form: Form, names: tuple[str, ...], published: int) -> Part:
    batches = [_batch(root.file(f"{form.folder}/{name}", form.archive), form) for name in names]
    planes = np.concatenate([pixels for pixels, _ in batches]).reshape(-1, 3, 32, 32)  # all red, all green, all blue
    labels = np.concatenate([labels for _, labels in batches])
    return Part(planes.transpose(0, 2, 3, 1), labels.astype(np.int64), published)


def _batch(file: RawFile, form: Form) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
    """Pixels ``[n, 3072]`` and labels ``[n]``."""
    if not form.label_bytes:
        batch = read_dict(file)
        pixels, labels = batch.get(b"data"), batch.get(form.key + b"s")
        if not isinstance(pixels, np.ndarray) or pixels.shape[1:] != (NUM_PIXELS,) or not isinstance(labels, list):
            raise DataError(f"{file.holder}: {file.name} has no data or {form.key.decode()}s, but {sorted(batch)}")
        return pixels, np.array(labels)
    content = np.frombuffer(file.read(), np.uint8)
    if len(content) % (form.label_bytes + NUM_PIXELS):
        raise DataError(f"{file.holder}: {file.name} is cut off, it ends within a picture; download it again")
    records = content.reshape(-1, form.label_bytes + NUM_PIXELS)
    return records[:, form.label_bytes :], records[:, form.label_bytes - 1]


def _classes(root: RawFolder, form: Form) -> tuple[str, ...]:
    file = root.file(f"{form.folder}/{form.classes}", form.archive)
    names = file.read().split(b"\n") if form.label_bytes else read_dict(file).get(form.key + b"_names", [])
    return tuple(name.decode().strip() for name in names if name.strip())
