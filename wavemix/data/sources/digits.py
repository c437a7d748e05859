"""The handwritten digits that scikit-learn ships: 1,797 grey pictures of 8x8 pixels, ten classes.

The split is random and stratified by class, so the same writers stand on both sides of it: scores are those of a
demonstration, not of a benchmark. It knows nothing of shards.
"""

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from wavemix.data.decode import encode_png
from wavemix.data.raw.items import Item, Parts, RawSet, split_by_class
from wavemix.errors import DataError


def read(*, val_fraction: float, test_fraction: float, seed: int) -> RawSet:
    """The digits, split per class; the rest after ``val`` and ``test`` is ``train``.

    Raises:
        DataError: scikit-learn is not installed, or the fractions leave no picture for training.
    """
    images, labels, classes = _load()
    splits = split_by_class(labels.tolist(), {"val": val_fraction, "test": test_fraction}, seed)
    return RawSet(
        schema="labelled_image",
        classes=classes,
        items={
            split: [Item(f"{index:04d}", int(labels[index]), index) for index in indices]
            for split, indices in splits.items()
        },
        read=_read,
        fingerprint=hashlib.sha256(images.tobytes() + labels.astype("<i8").tobytes()).hexdigest(),
    )


def _read(index: int) -> Parts:
    return {"image": encode_png(_load()[0][index])}


@lru_cache(maxsize=1)
def _load() -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415  (an extra, needed for this source alone)
    except ImportError:
        raise DataError("scikit-learn is not installed; pip install 'wavemix-train[pipeline]'") from None
    loaded = load_digits()
    # Ink is 0..16 in steps of one; stretched to the range of an 8-bit picture, and back, without loss.
    images = np.round(loaded.images * 255 / 16).astype(np.uint8)
    return images, loaded.target.astype(np.int64), tuple(str(name) for name in loaded.target_names)
