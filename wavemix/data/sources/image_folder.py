"""A user's own pictures with a class per folder: ``<root>/<split>/<class>/<picture>``.

It decides classes and keys; it knows nothing of shards, and nothing of what is inside a picture.
"""

from wavemix.data.raw.archives import RawFile, RawFolder, read_image
from wavemix.data.raw.items import Item, RawSet, fingerprint_of_items
from wavemix.data.raw.trees import pictures_of, splits_of
from wavemix.errors import DataError


def read(*, root: RawFolder) -> RawSet:
    """The pictures of each split in the order of their paths; classes are the folders in ``train``, sorted by name.

    A class may have folders of its own: what lies below belongs to it. A split may also be a ``<split>.zip`` or
    ``<split>.tar`` that holds the folder.

    Raises:
        DataError: ``train`` or both others are missing, a split is empty, a picture lies in no class or in one that
            ``train`` has not, or two would get the same key.
    """
    pictures = {split: pictures_of(files, f"{root.path}/{split}") for split, files in splits_of(root).items()}
    classes = tuple(sorted({_class(key, root, "train") for key in pictures["train"]}))
    items = {split: _items(pictures[split], classes, root, split) for split in pictures}
    return RawSet("labelled_image", classes, items, read_image, fingerprint_of_items(classes, items))


def _items(pictures: dict[str, RawFile], classes: tuple[str, ...], root: RawFolder, split: str) -> list[Item]:
    class_of = {key: _class(key, root, split) for key in pictures}
    if unknown := sorted(set(class_of.values()) - set(classes)):
        raise DataError(f"{root.path}/{split} has classes that train has not: {', '.join(unknown[:5])}")
    labels = {name: label for label, name in enumerate(classes)}
    return [Item(key, labels[class_of[key]], file) for key, file in pictures.items()]


def _class(key: str, root: RawFolder, split: str) -> str:
    name, slash, _ = key.partition("/")
    if not slash:
        raise DataError(f"{root.path}/{split} has the picture {name} outside of any class; put it into a folder")
    return name
