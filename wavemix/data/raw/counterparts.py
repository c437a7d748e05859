"""What belongs together by its names, such as a picture and its mask or label. It knows no data set and reads no file.

In a pattern, ``*`` stands for what both names have in common: ``HR/*.png`` and ``LR_bicubic/X2/*x2.png``.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from wavemix.data.raw.archives import RawFile
from wavemix.errors import DataError

Named = Mapping[str, RawFile]
Label = TypeVar("Label")


def matching(pattern: str, files: Iterable[RawFile]) -> dict[str, RawFile]:
    """The files that fit the pattern, by what ``*`` stands for."""
    start, end = pattern.split("*")
    return {
        file.name[len(start) : len(file.name) - len(end)]: file
        for file in files
        if file.name.startswith(start) and file.name.endswith(end)
    }


def check_counterparts(
    first: Named, pattern: str, second: Named, other_pattern: str, *, where: object, subset: bool
) -> None:
    """See that each of the first has its counterpart, and the other way round unless ``subset``.

    Args:
        first: Files by what ``*`` stands for.
        pattern: What they are called, for the message.
        second: Their counterparts.
        other_pattern: What these are called.
        where: The folder that both patterns start from.
        subset: The second ones may be more.

    Raises:
        DataError: One is alone, or there is none at all; it names the first.
    """
    if not first:
        raise DataError(f"no {pattern} in {where}")
    for key in sorted(first.keys() - second.keys()):
        raise DataError(f"{pattern.replace('*', key)} has no {other_pattern.replace('*', key)} in {where}")
    for key in [] if subset else sorted(second.keys() - first.keys()):
        raise DataError(f"{other_pattern.replace('*', key)} has no {pattern.replace('*', key)} in {where}")


def with_labels(
    files: Iterable[RawFile], suffix: str, labels: Mapping[str, Label], *, told: str, subset: bool
) -> Iterator[tuple[RawFile, Label]]:
    """Each file with its label.

    Args:
        files: Those without the suffix are left out.
        suffix: Of pictures, such as ``.jpg``.
        labels: By the files' names.
        told: What would disagree, for the message, such as ``val/ and val.json``.
        subset: Labels may be without a file.

    Raises:
        DataError: A file has no label, or a label no file, or there is no file at all; it names the first.
    """
    rest = dict(labels)
    some = False
    for file in files:
        if file.name.endswith(suffix):
            if file.name not in rest:
                raise DataError(f"{told} disagree: {file.name} has no label")
            some = True
            yield file, rest.pop(file.name)
    if not some or (rest and not subset):
        lacking = f"{len(rest)} of {len(labels)} labels have no picture, such as {min(rest, default='none')}"
        raise DataError(f"{told} disagree: {lacking}")
