"""Sets that are published as arrays of small pictures: how their splits are drawn, and how a picture is reached.

Workers ask for pictures in shuffled order. So that none of them unpacks a whole batch for one picture, or holds a set
in its memory, each part is written once to a flat ``.npy`` in the scratch folder, which all of them map.
It knows no file format and no data set.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wavemix.data.decode import encode_png
from wavemix.data.raw.archives import RawFolder
from wavemix.data.raw.items import Item, Parts, RawSet, fingerprint_of, split_by_class
from wavemix.errors import DataError
from wavemix.files import written_aside

SLAB = 1024


class Part(NamedTuple):
    """Pictures that are published together, in their own order."""

    pixels: Any  # uint8 [n, h, w] or [n, h, w, 3]: an array, or what is cut along n like one
    labels: NDArray[np.int64]  # [n]
    published: int  # how many there are in a whole set


def labelled(
    name: str,
    parts: Mapping[str, Part],
    shares: Mapping[str, float],
    seed: int,
    classes: tuple[str, ...],
    root: RawFolder,
) -> RawSet:
    """A set of arrays. ``shares`` are drawn from the first part, class by class; a part ``test`` is the split of that
    name; all else is ``train``. A picture's key is its part and its number there, whatever is drawn.

    Raises:
        DataError: Pictures and labels do not fit, the shares leave nothing to train on, or scratch cannot be written.
    """
    for part in parts:
        _check(part, parts[part], len(classes))
    first = next(iter(parts))
    drawn = split_by_class(parts[first].labels.tolist(), shares, seed)
    items = {split: [_item(first, parts[first], index) for index in indices] for split, indices in drawn.items()}
    expected = {split: len(some) for split, some in items.items()}
    for part, (_, labels, published) in parts.items():
        split = "test" if part == "test" else "train"
        if part != first:
            items.setdefault(split, []).extend(_item(part, parts[part], index) for index in range(len(labels)))
            expected[split] = expected.get(split, 0) + len(labels)
        expected[split] += published - len(labels)
    kept = {part: _kept(f"{name}-{part}", parts[part].pixels, root) for part in parts}
    content = ((part, kept[part][1], parts[part].labels.tolist()) for part in parts)
    return RawSet(
        schema="labelled_image",
        classes=classes,
        items=items,
        read=partial(_read, {part: path for part, (path, _) in kept.items()}),
        fingerprint=fingerprint_of(chain([classes], content)),
        expected=expected,
    )


def _item(name: str, part: Part, index: int) -> Item:
    return Item(f"{name}-{index:06d}", int(part.labels[index]), (name, index))


def _read(paths: Mapping[str, str], what: tuple[str, int]) -> Parts:
    part, index = what
    return {"image": encode_png(_mapped(paths[part])[index])}


@lru_cache(maxsize=8)
def _mapped(path: str) -> NDArray[np.uint8]:
    try:
        pixels: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}; prepare the data set again") from None
    return pixels


def _check(name: str, part: Part, num_classes: int) -> None:
    pixels, labels, _ = part
    if pixels.dtype != np.uint8 or pixels.shape[3:] not in ((), (3,)) or len(pixels.shape) < 3:
        raise DataError(f"{name} is {pixels.dtype} {pixels.shape}; looked for uint8 [n, h, w] or [n, h, w, 3]")
    if len(labels) == 0 or len(pixels) != len(labels):
        raise DataError(f"{name} has {len(pixels)} pictures and {len(labels)} labels")
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(wrong):
        raise DataError(
            f"{name}, picture {wrong[0]}: there is no class {labels[wrong[0]]}, only 0 to {num_classes - 1}"
        )


def _kept(name: str, pixels: Any, root: RawFolder) -> tuple[str, str]:
    """The path of the pixels' ``.npy``, and their digest; with that in its name the file is never out of date."""
    digest = fingerprint_of(chain([pixels.shape], _slabs(name, pixels, root)))
    path = root.scratch / f"{name}-{digest[:16]}.npy"
    if not path.is_file():
        try:
            with written_aside(path) as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": tuple(pixels.shape)}
                np.lib.format.write_array_header_1_0(file, header)
                for slab in _slabs(name, pixels, root):
                    file.write(slab)
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error}") from None
    return str(path), digest


def _slabs(name: str, pixels: Any, root: RawFolder) -> Iterator[bytes]:
    """All pixels in row-major order, some pictures at a time."""
    for start in range(0, len(pixels), SLAB):
        root.told(f"reading {name}, pictures", start)
        yield pixels[start : start + SLAB].tobytes()
