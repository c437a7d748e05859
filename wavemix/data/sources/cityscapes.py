"""Cityscapes with fine annotations: the pictures of train and val, and masks in the 19 classes that are evaluated.

It decides which label id is which class; it knows nothing of shards.
"""

from collections.abc import Mapping

import numpy as np

from wavemix.data.admit import Rejected
from wavemix.data.decode import decode_mask, encode_png
from wavemix.data.raw.archives import RawFile, RawFolder
from wavemix.data.raw.counterparts import check_counterparts, matching
from wavemix.data.raw.items import Item, Parts, RawSet, fingerprint_of
from wavemix.data.schema import IGNORED

COUNTS = {"train": 2_975, "val": 500}  # Cordts et al. 2016; test has 1,525 pictures whose annotations are dummies

# By label id and in the order of train ids: what cityscapesscripts' labels.py does not ignore in evaluation.
CLASSES = {
    7: "road",
    8: "sidewalk",
    11: "building",
    12: "wall",
    13: "fence",
    17: "pole",
    19: "traffic light",
    20: "traffic sign",
    21: "vegetation",
    22: "terrain",
    23: "sky",
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}
TRAIN_IDS = np.full(256, IGNORED, np.uint8)
TRAIN_IDS[list(CLASSES)] = range(len(CLASSES))

PICTURE, MASK = "*_leftImg8bit.png", "*_gtFine_labelIds.png"


def read(*, root: RawFolder, subset: bool) -> RawSet:
    """The pictures of train and val in the order of their cities; keys as in ``aachen/aachen_000000_000019``.

    Args:
        root: The user's folder, with both zips as published or what they hold.
        subset: Annotations without a picture are left out.

    Raises:
        DataError: Pictures or annotations are missing, or one is without the other.

    Source: leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip; class numbers as in cityscapesscripts' labels.py.
    """
    return _raw_set({split: _items(root, split, subset=subset) for split in COUNTS}, COUNTS)


def read_val(*, root: RawFolder) -> RawSet:
    """The pictures of val alone, as many as there are; the others need not be there.

    Raises:
        DataError: As ``read`` does.
    """
    return _raw_set({"val": _items(root, "val", subset=False)}, {})


def _raw_set(items: dict[str, list[Item]], expected: Mapping[str, int]) -> RawSet:
    told = ((split, file.name, file.size) for split in items for item in items[split] for file in item.what)
    return RawSet("image_with_mask", tuple(CLASSES.values()), items, _read, fingerprint_of(told), expected)


def _items(root: RawFolder, split: str, *, subset: bool) -> list[Item]:
    pictures = matching(PICTURE, root.under(f"leftImg8bit/{split}", "leftImg8bit_trainvaltest.zip"))
    masks = matching(MASK, root.under(f"gtFine/{split}", "gtFine_trainvaltest.zip"))
    told = (pictures, f"leftImg8bit/{split}/{PICTURE}", masks, f"gtFine/{split}/{MASK}")
    check_counterparts(*told, where=root.path, subset=subset)
    return [Item(key, None, (file, masks[key])) for key, file in pictures.items()]


def _read(pair: tuple[RawFile, RawFile]) -> Parts:
    image, mask = pair
    try:
        label_ids = decode_mask(mask.read())
    except ValueError as error:
        raise Rejected(f"mask: cannot be decoded: {error}") from None
    return {"image": image.read(), "mask": encode_png(TRAIN_IDS[label_ids])}
