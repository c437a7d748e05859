"""A user's own pictures without labels, in one folder or anywhere below it.

The split is drawn from a seed, picture by picture. It knows nothing of shards, and nothing of what is inside a picture.
"""

from wavemix.data.raw.archives import RawFolder, read_image
from wavemix.data.raw.items import Item, RawSet, fingerprint_of, split_by_class
from wavemix.data.raw.trees import pictures_of


def read(*, root: RawFolder, val_fraction: float, test_fraction: float, seed: int) -> RawSet:
    """All pictures, in the order of their paths; the rest after ``val`` and ``test`` is ``train``.

    Raises:
        DataError: There is no picture, two would get the same key, or the fractions leave none for ``train``.
    """
    pictures = list(pictures_of(root.under(""), str(root.path)).items())
    splits = split_by_class([0] * len(pictures), {"val": val_fraction, "test": test_fraction}, seed)
    return RawSet(
        schema="image",
        classes=(),
        items={
            split: [Item(key, None, file) for key, file in (pictures[index] for index in indices)]
            for split, indices in splits.items()
        },
        read=read_image,
        fingerprint=fingerprint_of((file.name, file.size) for _, file in pictures),
    )
