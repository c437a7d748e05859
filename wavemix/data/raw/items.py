"""What every source hands to the shard writer: a list of small items, and how to read one of them.

It knows no data set by name and reads no file.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from wavemix.data.schema import SPLITS
from wavemix.errors import DataError

Parts = Mapping[str, bytes]
"""Encoded pictures by their role in the sample: ``image``; ``mask``; ``hr``, ``x2``, ``x3``, ``x4``."""


class Item(NamedTuple):
    """A sample before it is read. ``what`` is small, can be pickled, and is all that ``RawSet.read`` needs."""

    key: str
    label: int | None
    what: Any


@dataclass(frozen=True)
class RawSet:
    """A data set before sharding.

    ``read`` turns an item's ``what`` into its parts. It is sent to other processes: a module's function, or a
    ``functools.partial`` of one over a few paths, which loads what it needs when it is first called there.
    ``fingerprint`` changes when the raw data do.
    """

    schema: str  # a name in wavemix.data.schema.SCHEMAS
    classes: tuple[str, ...]  # empty where samples have no classes
    items: Mapping[str, Sequence[Item]]  # by split, in an order of the data's own
    read: Callable[[Any], Parts]
    fingerprint: str
    expected: Mapping[str, int] = field(default_factory=dict)  # how many items a whole set has; empty if nobody knows


def key_of(path: str) -> str:
    """A published path as a sample's key: without the extension, and without dots in the name, where WebDataset takes
    what follows the first one for the extension."""
    folder, slash, name = path.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    return folder + slash + (stem if dot else name).replace(".", "_")


def fingerprint_of(what: Iterable[object]) -> str:
    """The digest of texts, bytes, numbers or tuples of them, in their order."""
    digest = hashlib.sha256()
    for one in what:
        content = one if isinstance(one, bytes) else repr(one).encode()
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def fingerprint_of_items(classes: Sequence[str], items: Mapping[str, Sequence[Item]], *more: object) -> str:
    """The digest of pictures in files: of the classes, of every item's split, key, label and size, and of ``more``."""
    told = ((split, item.key, item.label, item.what.size) for split in items for item in items[split])
    return fingerprint_of(chain([tuple(classes), *more], told))


def split_by_class(labels: Sequence[int], shares: Mapping[str, float], seed: int) -> dict[str, list[int]]:
    """The indices of each split, drawn at random within each class; what the shares leave is ``train``.

    Args:
        labels: Class of every sample; all zero for a draw without classes.
        shares: Such as ``{"val": 0.1, "test": 0.2}``; a share of 0 leaves its split out.
        seed: Chooses the split together with the labels, on every version of numpy.

    Raises:
        DataError: The shares leave nothing to train on.
    """
    if sum(shares.values()) >= 1:
        told = " and ".join(f"{split} {share}" for split, share in shares.items())
        raise DataError(f"{told} {'leaves' if len(shares) == 1 else 'leave'} nothing to train on")
    parts: dict[str, list[int]] = {split: [] for split in SPLITS if split == "train" or shares.get(split)}
    label_of = np.asarray(labels)
    # Raw Philox numbers, sorted: unlike Generator.permutation their stream is promised never to change.
    keys = np.random.Philox(key=seed).random_raw(len(label_of))
    for label in np.unique(label_of):
        members = np.flatnonzero(label_of == label)
        members = members[np.argsort(keys[members], kind="stable")]
        start = 0
        for split, indices in parts.items():
            if split != "train":
                count = round(shares[split] * len(members))
                indices.extend(members[start : start + count].tolist())
                start += count
        parts["train"].extend(members[start:].tolist())
    return {split: sorted(indices) for split, indices in parts.items()}
