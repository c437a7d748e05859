"""What one sample is: as a shard holds it (encoded parts) and as a task sees it (decoded fields).

It knows file extensions and ranges, and nothing of shards, order, batches or augmentation. Only the extensions named
here are ever decoded, and none of them can hold code.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from wavemix.errors import DataError

IMAGE_EXTENSIONS = ("png", "jpg", "jpeg", "webp")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Record:
    """A sample as a shard holds it: a key and, by file extension, the bytes as they were published."""

    key: str
    parts: Mapping[str, bytes]


class Sample(Protocol):
    """A sample as a task sees it; its fields are stacked into batches under their own names."""

    @classmethod
    def decode(cls, record: Record) -> Self: ...

    def fields(self) -> Mapping[str, NDArray[np.generic]]: ...


@dataclass(frozen=True)
class LabelledImage:
    """A picture and its class.

    ``image``: uint8 ``[h, w, 3]``, RGB in 0..255, in the shard as png, jpg, jpeg or webp.
    ``label``: class index in 0..k-1, in the shard as decimal digits under ``cls``.
    """

    key: str
    image: NDArray[np.uint8]
    label: int

    @classmethod
    def decode(cls, record: Record) -> Self:
        """Raises DataError if a part is missing or cannot be decoded, with the sample's key."""
        try:
            label = int(record.parts["cls"])
        except (KeyError, ValueError):
            raise DataError(f"sample {record.key}: no whole number under .cls; found {sorted(record.parts)}") from None
        return cls(record.key, decode_image(record), label)

    def fields(self) -> Mapping[str, NDArray[np.generic]]:
        """What is stacked into a batch: ``image`` uint8 ``[c, h, w]`` and ``label`` int64 ``[]``."""
        return {"image": np.ascontiguousarray(self.image.transpose(2, 0, 1)), "label": np.array(self.label, np.int64)}


def decode_image(record: Record) -> NDArray[np.uint8]:
    """The record's picture as uint8 ``[h, w, 3]`` RGB, whatever its file format and colour mode.

    Raises:
        DataError: No part has a picture's extension, or its bytes are damaged; the message names the sample.
    """
    for extension in IMAGE_EXTENSIONS:
        if extension in record.parts:
            try:
                with Image.open(io.BytesIO(record.parts[extension])) as picture:
                    return np.asarray(picture.convert("RGB"))
            except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
                raise DataError(f"sample {record.key}: its .{extension} cannot be decoded: {error}") from None
    raise DataError(f"sample {record.key}: no picture; looked for {IMAGE_EXTENSIONS}, found {sorted(record.parts)}")


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Lossless PNG of uint8 ``[h, w]`` (grey) or ``[h, w, 3]`` (RGB)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
