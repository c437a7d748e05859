"""The handwritten digits that scikit-learn ships: 1,797 grey pictures of 8x8 pixels, ten classes.

The split is random and stratified by class, so the same writers stand on both sides of it: scores are those of a
demonstration, not of a benchmark. It knows nothing of shards.
"""

import hashlib
from functools import partial

import numpy as np
from numpy.typing import NDArray

from wavemix.data.schema import Record, encode_png
from wavemix.data.sources.raw import RawSet
from wavemix.errors import DataError


def read(*, val_fraction: float, test_fraction: float, seed: int) -> RawSet:
    """The digits, split per class; the rest after ``val`` and ``test`` is ``train``.

    Raises:
        DataError: scikit-learn is not installed, or the fractions leave no picture for training.
    """
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415  (an extra, needed for this source alone)
    except ImportError:
        raise DataError("source digits: scikit-learn is not installed; pip install 'wavemix-train[pipeline]'") from None
    if val_fraction + test_fraction >= 1:
        raise DataError(f"source digits: val {val_fraction} and test {test_fraction} leave nothing to train on")
    loaded = load_digits()
    labels: NDArray[np.int64] = loaded.target.astype(np.int64)
    # Ink is 0..16 in steps of one; stretched to the range of an 8-bit picture, and back, without loss.
    images = np.round(loaded.images * 255 / 16).astype(np.uint8)
    return RawSet(
        classes=tuple(str(name) for name in loaded.target_names),
        items=_split(labels, val_fraction, test_fraction, seed),
        record=partial(_record, images, labels),
        fingerprint=hashlib.sha256(images.tobytes() + labels.astype("<i8").tobytes()).hexdigest(),
    )


def _record(images: NDArray[np.uint8], labels: NDArray[np.int64], index: int) -> Record:
    return Record(f"{index:04d}", {"png": encode_png(images[index]), "cls": str(labels[index]).encode()})


def _split(labels: NDArray[np.int64], val: float, test: float, seed: int) -> dict[str, list[int]]:
    parts: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    # Raw Philox numbers, sorted: unlike Generator.permutation their stream is promised never to change.
    keys = np.random.Philox(key=seed).random_raw(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        members = members[np.argsort(keys[members], kind="stable")]
        num_val, num_test = round(val * len(members)), round(test * len(members))
        parts["val"].extend(members[:num_val].tolist())
        parts["test"].extend(members[num_val : num_val + num_test].tolist())
        parts["train"].extend(members[num_val + num_test :].tolist())
    return {split: sorted(indices) for split, indices in parts.items()}
