"""A user's own pictures in folders: ``<root>/<split>/<class>/<picture>``. It knows nothing of shards."""

import hashlib
from functools import partial
from itertools import pairwise
from pathlib import Path

from wavemix.data.schema import IMAGE_EXTENSIONS, SPLITS, Record
from wavemix.data.sources.raw import RawSet
from wavemix.errors import DataError


def read(*, root: str) -> RawSet:
    """The tree's pictures in the order of their paths; classes are the folders under ``train``, sorted by name.

    Raises:
        DataError: A split is missing or empty, a class stands in ``val`` or ``test`` alone, or two pictures of a class
            have the same name up to the extension.
    """
    folder = Path(root)
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else None
    missing = [split for split in SPLITS if not (folder / split).is_dir()]
    if missing:
        raise DataError(
            f"source image_folder: looked for the folders {', '.join(SPLITS)} in {folder}, "
            f"found {'no such folder' if found is None else ', '.join(found[:10]) or 'nothing'}"
        )
    classes = tuple(sorted(path.name for path in (folder / "train").iterdir() if path.is_dir()))
    items = {split: _pictures(folder / split, classes) for split in SPLITS}
    digest = hashlib.sha256()
    for paths in items.values():
        for path in paths:
            digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\n".encode())
    return RawSet(
        classes, items, partial(_record, {name: index for index, name in enumerate(classes)}), digest.hexdigest()
    )


def _pictures(folder: Path, classes: tuple[str, ...]) -> list[Path]:
    unknown = sorted({path.name for path in folder.iterdir() if path.is_dir()} - set(classes))
    if unknown:
        raise DataError(f"source image_folder: {folder} has classes that train has not: {', '.join(unknown[:5])}")
    suffixes = {"." + extension for extension in IMAGE_EXTENSIONS}
    paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in suffixes and path.is_file())
    if not paths:
        raise DataError(
            f"source image_folder: no picture in {folder}; looked for <class>/*.{{{','.join(IMAGE_EXTENSIONS)}}}"
        )
    for one, other in pairwise(paths):
        if one.with_suffix("") == other.with_suffix(""):
            raise DataError(f"source image_folder: {one} and {other.name} would get the same key; rename one")
    return paths


def _record(labels: dict[str, int], path: Path) -> Record:
    # A dot in a key would end it: WebDataset takes what follows the first one for the extension.
    key = f"{path.parent.name}/{path.stem}".replace(".", "_")
    return Record(key, {path.suffix[1:].lower(): path.read_bytes(), "cls": str(labels[path.parent.name]).encode()})
