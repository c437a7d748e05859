"""EMNIST: handwritten digits and letters of 28x28 pixels, in five subsets that the paper defines.

It knows nothing of shards. A part of the training set may be drawn as ``val``; there is no published one.
"""

from wavemix.data.raw.archives import RawFolder
from wavemix.data.raw.arrays import Part, labelled
from wavemix.data.raw.idx import read_idx
from wavemix.data.raw.items import RawSet
from wavemix.errors import DataError

ZIP = "gzip.zip"
COUNTS = {  # of the IDX files; table II of the paper gives letters less (88,800 and 14,800)
    "balanced": {"train": 112_800, "test": 18_800},
    "byclass": {"train": 697_932, "test": 116_323},
    "bymerge": {"train": 697_932, "test": 116_323},
    "digits": {"train": 240_000, "test": 40_000},
    "letters": {"train": 124_800, "test": 20_800},
}


def read(*, root: RawFolder, part: str, val_fraction: float, seed: int) -> RawSet:
    """One subset in the order of its files, upright; classes are named by their (first) character.

    Args:
        root: The folder with ``gzip.zip``, or with what is in it, also inflated.
        part: A name in ``COUNTS``.
        val_fraction: The share of each class of the training set that becomes ``val``.
        seed: Chooses which.

    Raises:
        DataError: A file is missing or damaged, labels do not fit, or nothing is left to train on.

    Source: Cohen et al., EMNIST: an extension of MNIST to handwritten letters (2017), and gzip.zip of NIST.
    """
    labels, classes = _classes(root, part)
    parts = {
        split: _part(root, f"gzip/emnist-{part}-{split}", published, labels[0])
        for split, published in COUNTS[part].items()
    }
    return labelled(f"emnist-{part}", parts, {"val": val_fraction}, seed, classes, root)


def _part(root: RawFolder, prefix: str, published: int, first_label: int) -> Part:
    pixels, labels = read_idx(root, prefix, ZIP)
    # They were written by MATLAB, column after column.
    return Part(pixels.transpose(0, 2, 1), labels - first_label, published)


def _classes(root: RawFolder, part: str) -> tuple[list[int], tuple[str, ...]]:
    """Labels as they are in the files (those of ``letters`` begin with 1), and what they mean."""
    name = f"gzip/emnist-{part}-mapping.txt"
    file = root.file(root.first(name, name.removeprefix("gzip/")) or name, ZIP)
    labels: list[int] = []
    classes: list[str] = []
    for number, line in enumerate(file.read().decode(errors="replace").splitlines(), start=1):
        words = line.split()  # a label and the ASCII code of its character; where two are merged, both
        if words and (len(words) < 2 or not all(word.isdecimal() for word in words)):
            raise DataError(f"{file.name}, line {number}: looked for a label and ASCII codes, found {line!r}")
        if words:
            labels.append(int(words[0]))
            classes.append(chr(int(words[1])))
    if not labels or labels != list(range(labels[0], labels[0] + len(labels))):
        raise DataError(f"{file.name}: looked for labels in a row, found {labels[:3]} ... {labels[-3:]}")
    return labels, tuple(classes)
