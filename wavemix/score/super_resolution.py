"""Folders for super-resolution: benchmarks in their three layouts, or high resolutions alone.

Answers of others are RGB pictures of the size that the high resolution has.
"""

from pathlib import Path

from torch import Tensor

from wavemix import config
from wavemix.color import rgb_to_ycbcr
from wavemix.data.decode import decode_image
from wavemix.data.raw import Item, RawFile, RawFolder, RawSet
from wavemix.data.raw.counterparts import matching
from wavemix.data.raw.items import fingerprint_of
from wavemix.data.raw.pairs import Pair, reader_of, told_of
from wavemix.data.sources import sr_benchmark
from wavemix.errors import DataError
from wavemix.score.base import (
    ANSWER,
    Answers,
    Field,
    Fields,
    Kind,
    Questions,
    Rules,
    agreed,
    fitting,
    pictures_below,
)
from wavemix.tasks import Batch, super_resolution
from wavemix.tasks.super_resolution import SuperResolution


def _questions(root: RawFolder, rules: Rules, own: SuperResolution | None) -> Questions:
    scale = agreed("scale", rules.scale, own.scale) if own else rules.scale
    if scale is None:
        raise DataError(f"{root.path}: give --scale: 2, 3 or 4")
    raw = _read(root, scale)
    if own:
        return Questions(raw, own, {"scale": scale})
    section = {"name": "super_resolution", "model": {"name": "wavemix_sr"}, "scale": scale}
    task = super_resolution.build(config.SuperResolution.model_validate(section), ())
    return Questions(raw, task, {"scale": scale})


def _read(root: RawFolder, scale: int) -> RawSet:
    """Pairs as published, or pictures in one folder, whose low resolutions are made as MATLAB makes them."""
    files = root.under("")
    patterns = [layout.high.format(s=scale) for layout in sr_benchmark.LAYOUTS]
    if any(matching(pattern, files) for pattern in patterns):
        return sr_benchmark.read_folder(root=root, scales=(scale,), low="published")
    pictures = pictures_below(root.path)
    if below := next((file.name for file in pictures.values() if "/" in file.name), None):
        # Nobody knows what it is: a low resolution, or a benchmark's picture for another scale.
        wanted = " or ".join(patterns)
        raise DataError(f"looked for {wanted}, or for pictures in no folder, in {root.path}, found {below}")
    pairs = {key: Pair(file, {}) for key, file in pictures.items()}
    items = {"test": [Item(key, None, pair) for key, pair in pairs.items()]}
    return RawSet("image_pair", (), items, reader_of("made", (scale,)), fingerprint_of(told_of(pairs.values())))


def _answers(path: Path) -> Answers:
    return Answers(pictures_below(path), _picture)


def _picture(file: RawFile, fields: Fields) -> Field:
    return fitting(decode_image(file.read()).transpose(2, 0, 1), fields["high"])


def _predict(batch: Batch, _classes: tuple[str, ...]) -> Tensor:
    return rgb_to_ycbcr(batch[ANSWER])


KIND = Kind(_questions, _answers, _predict, baselines=("bicubic",))
