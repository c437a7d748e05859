"""High resolutions with their low ones: as published, or made here. It knows no data set and no layout."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from wavemix.data.admit import Rejected
from wavemix.data.decode import decode_image, encode_png
from wavemix.data.raw.archives import RawFile
from wavemix.data.raw.items import Parts
from wavemix.data.resize import crop_to_multiple, imresize


class Pair(NamedTuple):
    """A picture in high resolution, and as published in low ones: ``{2: ...}``, or none where they are made."""

    high: RawFile
    low: dict[int, RawFile]


def reader_of(low: str, scales: Sequence[int]) -> Callable[[Pair], Parts]:
    """How pairs are read where ``low`` is ``published`` or ``made``."""
    return _published if low == "published" else partial(_made, tuple(scales))


def told_of(pairs: Iterable[Pair]) -> list[Any]:
    """What the fingerprint is made of."""
    return [(file.name, file.size) for pair in pairs for file in (pair.high, *pair.low.values())]


def _published(pair: Pair) -> Parts:
    return {"hr": pair.high.read(), **{f"x{scale}": file.read() for scale, file in pair.low.items()}}


def _made(scales: tuple[int, ...], pair: Pair) -> Parts:
    high = pair.high.read()
    try:
        pixels = decode_image(high)
    except ValueError as error:
        raise Rejected(f"hr: cannot be decoded: {error}") from None
    low = {f"x{scale}": encode_png(imresize(crop_to_multiple(pixels, scale), 1 / scale)) for scale in scales}
    return {"hr": high, **low}
