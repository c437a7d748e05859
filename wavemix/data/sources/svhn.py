"""Street View House Numbers, cropped digits: 32x32 pixels in colour, ten classes, in MATLAB's files.

It knows nothing of shards. A part of the training set may be drawn as ``val``; there is no published one.
"""

from typing import Any

import numpy as np

from wavemix.data.raw.archives import RawFile, RawFolder
from wavemix.data.raw.arrays import Part, labelled
from wavemix.data.raw.items import RawSet
from wavemix.errors import DataError

COUNTS = {"train": 73_257, "extra": 531_131, "test": 26_032}  # as its page says
DIGITS = tuple("0123456789")


def read(*, root: RawFolder, extra: bool, val_fraction: float, seed: int) -> RawSet:
    """The digits in the order of their files.

    Args:
        root: The folder with ``train_32x32.mat``, ``test_32x32.mat`` and, for extra, ``extra_32x32.mat``.
        extra: The training set gets the easier digits of that file, too.
        val_fraction: The share of each class of ``train_32x32.mat`` that becomes ``val``; of the extra ones, none does.
        seed: Chooses which.

    Raises:
        DataError: SciPy or a file is missing, one is damaged, labels do not fit, or nothing is left to train on.

    Source: Netzer et al., Reading Digits in Natural Images (2011), format 2.
    """
    parts = {part: _part(root.file(f"{part}_32x32.mat"), COUNTS[part]) for part in COUNTS if extra or part != "extra"}
    return labelled("svhn", parts, {"val": val_fraction}, seed, DIGITS, root)


def _part(file: RawFile, published: int) -> Part:
    try:
        from scipy.io import loadmat  # noqa: PLC0415  (an extra, needed for this source alone)
    except ImportError:
        raise DataError("SciPy is not installed; pip install 'wavemix-train[pipeline]'") from None
    try:
        held: dict[str, Any] = loadmat(file.holder, variable_names=("X", "y"))
        pixels, labels = held["X"], held["y"].reshape(-1).astype(np.int64)
    except Exception as error:  # SciPy raises whatever it stumbles over in a damaged file
        told = f"no variable {error}" if isinstance(error, KeyError) else error
        raise DataError(f"{file.holder}: damaged, or another file: {told}; download it again") from None
    labels[labels == len(DIGITS)] = 0  # MATLAB counts from 1, so the digit 0 came last
    return Part(np.moveaxis(pixels, -1, 0), labels, published)
