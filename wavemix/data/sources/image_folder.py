"""A user's own pictures with a class per folder: ``<root>/<split>/<class>/<picture>``.

It decides classes and keys; it knows nothing of shards, and nothing of what is inside a picture.
"""

from wavemix.data.raw.archives import RawFile, RawFolder, read_image
from wavemix.data.raw.items import Item, RawSet, fingerprint_of_items, split_by_class
from wavemix.data.raw.trees import pictures_of, splits_of
from wavemix.errors import DataError


def read(*, root: RawFolder, val_fraction: float = 0.0, seed: int = 0) -> RawSet:
    """The pictures of each split in the order of their paths; classes are the folders in ``train``, sorted by name.

    A class may have folders of its own: what lies below belongs to it. A split may also be a ``<split>.zip`` or
    ``<split>.tar`` that holds the folder.

    Args:
        root: The folder of the splits.
        val_fraction: Share of each class in ``train`` to be drawn as ``val``, where there is no such folder.
        seed: Chooses them.

    Raises:
        DataError: ``train`` or both others are missing, a split is empty, a picture lies in no class or in one that
            ``train`` has not, two would get the same key, or ``val`` would be drawn beside a folder of that name.
    """
    pictures = {split: pictures_of(files, f"{root.path}/{split}") for split, files in splits_of(root).items()}
    classes = tuple(sorted({_class(key, f"{root.path}/train") for key in pictures["train"]}))
    items = {split: _items(pictures[split], classes, f"{root.path}/{split}", "train") for split in pictures}
    if val_fraction:
        if "val" in items:
            raise DataError(f"{root.path} has a folder val: leave val_fraction out, or take the folder away")
        train = items["train"]
        drawn = split_by_class([item.label or 0 for item in train], {"val": val_fraction}, seed)
        items |= {split: [train[index] for index in indices] for split, indices in drawn.items()}
    return RawSet("labelled_image", classes, items, read_image, fingerprint_of_items(classes, items))


def read_folder(*, root: RawFolder, classes: tuple[str, ...], whose: str) -> RawSet:
    """The pictures of one folder of classes, such as a split of the above, as split ``test``.

    Args:
        root: The folder; a class may be absent.
        classes: All that there are.
        whose: Who knows them, for the message.

    Raises:
        DataError: There is no picture, or one lies in no class or in one that is not known.
    """
    items = {"test": _items(pictures_of(root.under(""), str(root.path)), classes, str(root.path), whose)}
    return RawSet("labelled_image", classes, items, read_image, fingerprint_of_items(classes, items))


def _items(pictures: dict[str, RawFile], classes: tuple[str, ...], folder: str, whose: str) -> list[Item]:
    class_of = {key: _class(key, folder) for key in pictures}
    if unknown := sorted(set(class_of.values()) - set(classes)):
        raise DataError(f"{folder} has classes that {whose} has not: {', '.join(unknown[:5])}")
    labels = {name: label for label, name in enumerate(classes)}
    return [Item(key, labels[class_of[key]], file) for key, file in pictures.items()]


def _class(key: str, folder: str) -> str:
    name, slash, _ = key.partition("/")
    if not slash:
        raise DataError(f"{folder} has the picture {name} outside of any class; put it into a folder")
    return name
