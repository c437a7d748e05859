"""Places365-Standard: the pictures of train and val, and their scenes as its own lists have them.

It knows nothing of shards, and nothing of what is inside a picture.
"""

from collections.abc import Iterator

from wavemix.data.raw.archives import RawFolder, read_image
from wavemix.data.raw.counterparts import with_labels
from wavemix.data.raw.items import Item, RawSet, fingerprint_of_items, key_of
from wavemix.errors import DataError

COUNTS = {"train": 1_803_460, "val": 36_500}  # Zhou et al., Places: A 10 Million Image Database
LISTS = "filelist_places365-standard"
CATEGORIES = "categories_places365.txt"
LABELS = {"train": "places365_train_standard.txt", "val": "places365_val.txt"}


def read(*, root: RawFolder, size: str, subset: bool) -> RawSet:
    """The pictures of train and val in the order of their paths; classes in the order of ``categories_places365.txt``.

    Args:
        root: The user's folder, with the tars as published or what they hold.
        size: ``256``, squeezed to squares of 256 pixels; or ``large``, at least 512 pixels a side where there were.
        subset: Pictures of the lists may be absent; the classes stay 365.

    Raises:
        DataError: Pictures or lists are missing, or disagree.

    Source: filelist_places365-standard.tar. The trees may be those that torchvision makes (``data_256_standard``).
    """
    train = root.first(f"data_{size}", f"data_{size}_standard") or f"data_{size}"
    classes = _classes(root)
    items = {
        "train": _items(root, train, f"train_{size}_places365standard.tar", LABELS["train"], classes, subset),
        "val": _items(root, f"val_{size}", f"val_{size}.tar", LABELS["val"], classes, subset),
    }
    return RawSet("labelled_image", classes, items, read_image, fingerprint_of_items(classes, items, size), COUNTS)


def _items(root: RawFolder, folder: str, tar: str, name: str, classes: tuple[str, ...], subset: bool) -> list[Item]:
    labels = _labels(root, name, classes)
    files = root.under(folder, tar)
    pictures = with_labels(files, ".jpg", labels, told=f"{folder}/ and {name}", subset=subset)
    return [Item(key_of(file.name), label, file) for file, label in pictures]


def _classes(root: RawFolder) -> tuple[str, ...]:
    """``/a/apartment_building/outdoor 8`` is ``apartment_building/outdoor``, at 8."""
    classes: list[str] = []
    for path, index in _lines(root, CATEGORIES):
        if index != len(classes) or path.count("/") < 2:
            raise DataError(f"{CATEGORIES}: looked for '/<letter>/<class> {len(classes)}', found '{path} {index}'")
        classes.append(path.split("/", 2)[2])
    return tuple(classes)


def _labels(root: RawFolder, name: str, classes: tuple[str, ...]) -> dict[str, int]:
    labels = {}
    for path, index in _lines(root, name):
        if index >= len(classes):
            raise DataError(f"{name} has '{path} {index}', but {CATEGORIES} has {len(classes)} classes")
        labels[path.lstrip("/")] = index
    return labels


def _lines(root: RawFolder, name: str) -> Iterator[tuple[str, int]]:
    """The lines ``<path> <class index>`` of a list in the root, in the folder it may be unpacked to, or in its tar."""
    unpacked = f"{LISTS}/{name}"
    file = root.file(unpacked if root.first(unpacked) else name, f"{LISTS}.tar")
    for number, line in enumerate(file.read().decode(errors="replace").splitlines(), start=1):
        path, _, index = line.partition(" ")
        if not (path and index.isdecimal()):
            raise DataError(f"{name}, line {number}: looked for '<path> <class index>', found {line!r}")
        yield path, int(index)
