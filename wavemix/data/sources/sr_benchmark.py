"""Set5, Set14, BSD100 and Urban100 in the three layouts they are passed around in; for evaluation alone.

It decides which high resolution belongs to which low one. It knows nothing of shards.
"""

from collections.abc import Mapping
from typing import NamedTuple

from wavemix.data.decode import size_of
from wavemix.data.raw.archives import RawFile, RawFolder
from wavemix.data.raw.counterparts import check_counterparts, matching
from wavemix.data.raw.items import Item, RawSet, fingerprint_of
from wavemix.data.raw.pairs import Pair, reader_of, told_of
from wavemix.errors import DataError

COUNTS = {"Set5": 5, "Set14": 14, "BSD100": 100, "Urban100": 100}
FOLDERS = {"BSD100": ("B100", "BSD100", "BSDS100")}  # the test pictures of BSD300, under three names


class Layout(NamedTuple):
    """Patterns of paths below the benchmark's folder; ``{s}`` is the scale."""

    high: str
    low: str


LAYOUTS = (
    Layout("HR/*.png", "LR_bicubic/X{s}/*x{s}.png"),  # benchmark.tar of EDSR
    Layout("GTmod12/*.png", "LRbicx{s}/*.png"),  # BasicSR, cropped to multiples of 12
    Layout("original/*.png", "LRbicx{s}/*.png"),  # BasicSR; the low ones fit where the sides are such multiples
    Layout("image_SRF_{s}/*_SRF_{s}_HR.png", "image_SRF_{s}/*_SRF_{s}_LR.png"),  # SelfExSR, cropped for each scale
)


def read(*, root: RawFolder, benchmark: str, scales: tuple[int, ...], low: str) -> RawSet:
    """The benchmark's pictures as split ``test``, in the order of their names, which are their keys.

    Args:
        root: The folder with ``benchmark.tar``, the benchmark's own zip, or what one of them holds.
        benchmark: Its name as in papers.
        scales: Of 2, 3 and 4. SelfExSR has high resolutions for each scale; several are refused where they differ.
        low: ``published``, or ``made`` from the high ones by ``imresize``.

    Raises:
        DataError: Nothing is there in any layout, a picture has no counterpart, or scales do not go together.
    """
    folder, files = _files(root, FOLDERS.get(benchmark, (benchmark,)))
    return _raw_set(files, scales, low, f"{root.path}/{folder}", {"test": COUNTS[benchmark]})


def read_folder(*, root: RawFolder, scales: tuple[int, ...], low: str) -> RawSet:
    """The pictures of any set in one of these layouts: ``root`` is its own folder, whatever that is called.

    Raises:
        DataError: As ``read`` does.
    """
    return _raw_set(root.under(""), scales, low, str(root.path), {})


def _raw_set(
    files: list[RawFile], scales: tuple[int, ...], low: str, where: str, expected: Mapping[str, int]
) -> RawSet:
    pairs = _pairs(files, scales, low, where)
    return RawSet(
        schema="image_pair",
        classes=(),
        items={"test": [Item(key.replace(".", "_"), None, pair) for key, pair in pairs.items()]},
        read=reader_of(low, scales),
        fingerprint=fingerprint_of([low, scales, *told_of(pairs.values())]),
        expected=expected,
    )


def _files(root: RawFolder, names: tuple[str, ...]) -> tuple[str, list[RawFile]]:
    """The folder that has files, and its files."""
    for folder in (f"benchmark/{name}" for name in names):
        if root.first(folder, "benchmark.tar") and (files := root.under(folder, "benchmark.tar")):
            return folder, files
    for folder in names:
        archives = (f"{folder}.zip", f"{folder}_SR.zip", "benchmark.tar")
        if root.first(folder, *archives) and (files := root.under(folder, *archives)):
            return folder, files
    raise DataError(root.missing("benchmark.tar", *(f"{name}/ or {name}.zip" for name in names)))


def _pairs(files: list[RawFile], scales: tuple[int, ...], low: str, where: str) -> dict[str, Pair]:
    for layout in LAYOUTS:
        highs = {scale: matching(layout.high.format(s=scale), files) for scale in scales}
        if highs[scales[0]]:
            break
    else:
        told = " or ".join(layout.high.format(s=scales[0]) for layout in LAYOUTS)
        raise DataError(f"looked for {told} in {where}, found {files[0].name if files else 'nothing'}")
    lows = {}
    for scale in scales:
        of_first, of_this = layout.high.format(s=scales[0]), layout.high.format(s=scale)
        check_counterparts(highs[scales[0]], of_first, highs[scale], of_this, where=where, subset=False)
        if low == "published":
            pattern = layout.low.format(s=scale)
            lows[scale] = matching(pattern, files)
            check_counterparts(highs[scale], of_this, lows[scale], pattern, where=where, subset=False)
    _check_sizes(highs)
    return {key: Pair(high, {scale: lows[scale][key] for scale in lows}) for key, high in highs[scales[0]].items()}


def _check_sizes(highs: Mapping[int, Mapping[str, RawFile]]) -> None:
    """Where each scale has high resolutions of its own, one of them must do for all."""
    (first, files), *others = highs.items()
    for scale, key in ((scale, key) for scale, _ in others for key in files):
        one, other = files[key], highs[scale][key]
        if one != other and _size(one) != _size(other):
            raise DataError(
                f"{one.name} is {_size(one)}, and {other.name} is {_size(other)} (h, w): they are cropped for x{first} "
                f"and x{scale}, so prepare one scale at a time (scales: [{first}])"
            )


def _size(file: RawFile) -> tuple[int, int]:
    try:
        return size_of(file.read())
    except ValueError as error:
        raise DataError(f"{file.name} cannot be decoded: {error}") from None
