"""iNaturalist 2021 with its mini training set: the pictures of train and val, and their species as its JSON has them.

It knows nothing of shards, and nothing of what is inside a picture. The pictures are their photographers', for research
and education and not for commercial use, and may not be passed on: shards made of them stay private, too.
"""

import json
from typing import Any

from wavemix.data.raw.archives import RawFolder, read_image
from wavemix.data.raw.counterparts import with_labels
from wavemix.data.raw.items import Item, RawSet, fingerprint_of_items, key_of
from wavemix.errors import DataError

COUNTS = {"train": 500_000, "val": 100_000}  # 50 and 10 of each of 10,000 species: Van Horn et al., 2021
PUBLISHED = {"train": "train_mini", "val": "val"}
# A picture's date, place, licence and owner would take most of the memory.
KEPT = ("images", "annotations", "categories", "id", "file_name", "image_id", "category_id", "image_dir_name")


def read(*, root: RawFolder, subset: bool) -> RawSet:
    """The pictures of ``train_mini`` and ``val`` in the order of their paths; a species's index is its category's id.

    Args:
        root: The user's folder, with the four ``.tar.gz`` as published or what they hold.
        subset: Pictures of the JSON may be absent; the classes stay 10,000.

    Raises:
        DataError: Pictures or JSON are missing, or disagree.

    Source: the 2021 page of the competition's repository, visipedia/inat_comp.
    """
    classes, labels = _published(root, PUBLISHED["train"])
    items = {"train": _items(root, PUBLISHED["train"], labels, subset)}
    others, labels = _published(root, PUBLISHED["val"])
    if others != classes:
        raise DataError("train_mini.json and val.json have not the same categories")
    items["val"] = _items(root, PUBLISHED["val"], labels, subset)
    return RawSet("labelled_image", classes, items, read_image, fingerprint_of_items(classes, items), COUNTS)


def _items(root: RawFolder, folder: str, labels: dict[str, int], subset: bool) -> list[Item]:
    files = root.under(folder, f"{folder}.tar.gz")
    pictures = with_labels(files, ".jpg", labels, told=f"{folder}/ and {folder}.json", subset=subset)
    return [Item(key_of(file.name), label, file) for file, label in pictures]


def _published(root: RawFolder, folder: str) -> tuple[tuple[str, ...], dict[str, int]]:
    """The classes in the order of their ids, and the class of each picture by its path below ``folder``."""
    name = f"{folder}.json"
    content = root.file(name, f"{name}.tar.gz").read()
    try:
        known = json.loads(content, object_hook=_kept)
        class_of = {one["id"]: one["image_dir_name"] for one in known["categories"]}
        classes = tuple(class_of[index] for index in range(len(class_of)))
        category_of = {one["image_id"]: one["category_id"] for one in known["annotations"]}
        labels: dict[str, int] = {}
        for image in known["images"]:
            label = category_of.get(image["id"])
            if label is None or label not in class_of:
                raise DataError(f"{name}: {image['file_name']} has the category {label}, of {len(classes)}")
            labels["/".join(image["file_name"].split("/")[-2:])] = label  # without "train_mini/"
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{name}: not as published (images, annotations, categories from 0 on): {error!r}") from None
    return classes, labels


def _kept(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in KEPT if key in record}
