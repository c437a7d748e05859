"""Galaxy10 DECals: galaxies of 256x256 pixels in ten classes of shape, in one HDF5 file without a split.

It knows nothing of shards. There is no published split, so scores can be compared only with those of the same draw.
"""

import numpy as np

from wavemix.data.raw.archives import RawFolder
from wavemix.data.raw.arrays import Part, labelled
from wavemix.data.raw.items import RawSet
from wavemix.errors import DataError

FILE = "Galaxy10_DECals.h5"
COUNT = 17_736
CLASSES = (
    "Disturbed",
    "Merging",
    "Round Smooth",
    "In-between Round Smooth",
    "Cigar Shaped Smooth",
    "Barred Spiral",
    "Unbarred Tight Spiral",
    "Unbarred Loose Spiral",
    "Edge-on without Bulge",
    "Edge-on with Bulge",
)


def read(*, root: RawFolder, val_fraction: float, test_fraction: float, seed: int) -> RawSet:
    """The galaxies in the order of the file, ``val`` and ``test`` drawn from each class.

    Raises:
        DataError: h5py or the file is missing, it is damaged, labels do not fit, or nothing is left to train on.

    Source: Leung and Bovy, Galaxy10 DECals (2021), Galaxy10_DECals.h5; the classes of its documentation.
    """
    try:
        import h5py  # noqa: PLC0415  (an extra, needed for this source alone)
    except ImportError:
        raise DataError("h5py is not installed; pip install 'wavemix-train[pipeline]'") from None
    file = root.file(FILE)
    try:
        with h5py.File(file.holder) as held:
            # Its pixels stay where they are: they are compressed there, and inflated some at a time.
            parts = {"galaxy": Part(held["images"], held["ans"][:].astype(np.int64), COUNT)}
            return labelled("galaxy10", parts, {"val": val_fraction, "test": test_fraction}, seed, CLASSES, root)
    except (OSError, KeyError) as error:
        raise DataError(f"{file.holder}: damaged, or another file: {error}; download it again") from None
