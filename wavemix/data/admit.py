"""What is done to a sample on its way into a shard: it is checked, made smaller, and encoded as a shard can hold it.

It knows no data set and no file, and decodes every picture at most once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from wavemix.data.decode import (
    UInt8Image,
    decode_image,
    decode_mask,
    encode_jpeg,
    encode_png,
    size_of,
    sniff,
)
from wavemix.data.schema import IGNORED, SCHEMAS, Record, extension_of, fits


@dataclass(frozen=True)
class Admission:
    """What is asked of a sample, and done to it.

    Raises:
        ValueError: There is no such schema, or the pictures of a pair are to be resized.
    """

    schema: str  # a name in wavemix.data.schema.SCHEMAS
    num_classes: int  # 0 where samples have no classes
    check: bool  # decode everything; else only what is encoded anew
    shortest_side: int | None  # a picture whose shorter side is longer is brought to this
    jpeg_quality: int | None  # of pictures that were resized; None stores them as PNG

    def __post_init__(self) -> None:
        if self.schema not in SCHEMAS:
            raise ValueError(f"schema {self.schema!r}; there are {', '.join(SCHEMAS)}")
        if self.schema == "image_pair" and self.shortest_side is not None:
            raise ValueError("shortest_side: the two of an image_pair would not fit each other any more")


class Rejected(Exception):  # noqa: N818  (what became of a sample, not an error of the program)
    """A sample that no shard gets; ``reason`` says why in one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def admit(key: str, label: int | None, parts: Mapping[str, bytes], how: Admission) -> Record:
    """The sample as a shard holds it. JPEG, PNG and WebP stay byte for byte, unless they are resized.

    Args:
        key: Its key, taken as it is.
        label: Its class; needed by ``labelled_image`` alone.
        parts: Encoded pictures by their role, whatever their format; roles that the schema has not are left out.
        how: What is checked and changed.

    Raises:
        Rejected: A part is missing, empty or of no use.
    """
    roles = _roles(parts, how.schema)
    digits = _digits(label, how.num_classes) if how.schema == "labelled_image" else None
    kinds = {role: _kind(role, parts[role]) for role in roles}
    size = _smaller_size(parts["image"], how.shortest_side) if how.shortest_side is not None else None
    whole = how.check or size is not None
    # Alone, and only to be checked: damage shows at an eighth of the size too, for no bit of a JPEG is left unread.
    least = 1 if len(roles) == 1 and size is None else 0
    pixels = {role: _decoded(role, parts[role], least) for role in roles if whole or kinds[role] is None}
    if whole:
        _check_mask(pixels, how.num_classes)
        _check_pair(pixels)
    stored: dict[str, bytes] = {}
    for role, kind in kinds.items():
        if size is not None:
            kept, content = _encoded(role, _resized(role, pixels[role], size), how.jpeg_quality)
        elif kind is None:
            kept, content = "png", encode_png(pixels[role])
        else:
            kept, content = kind, parts[role]
        stored[extension_of(role, kept)] = content
    return Record(key, stored if digits is None else {**stored, "cls": digits})


def _roles(parts: Mapping[str, bytes], schema: str) -> list[str]:
    named = SCHEMAS[schema].roles
    roles = [role for role in named if role in parts]
    is_pair = schema == "image_pair"
    if len(roles) < (2 if is_pair else len(named)) or named[0] not in roles:
        needed = f"{named[0]} and one of {', '.join(named[1:])}" if is_pair else " and ".join(named)
        raise Rejected(f"{schema} needs {needed}; found {', '.join(sorted(parts)) or 'nothing'}")
    return roles


def _digits(label: int | None, num_classes: int) -> bytes:
    if label is None or not 0 <= label < num_classes:
        raise Rejected(f"label {label} of {num_classes} classes")
    return str(int(label)).encode()


def _kind(role: str, content: bytes) -> str | None:
    """The format, or None if it must be encoded anew: a shard cannot hold it, or it is a mask and no PNG."""
    if not content:
        raise Rejected(f"{role}: empty")
    kind = sniff(content)
    return kind if role != "mask" or kind == "png" else None


def _smaller_size(content: bytes, shortest_side: int) -> tuple[int, int] | None:
    """Height and width to resize to; None if no side is too long."""
    try:
        height, width = size_of(content)
    except ValueError as error:
        raise Rejected(f"image: cannot be decoded: {error}") from None
    short = min(height, width)
    if short <= shortest_side:
        return None
    return round(height * shortest_side / short), round(width * shortest_side / short)


def _decoded(role: str, content: bytes, min_side: int) -> UInt8Image:
    try:
        return decode_mask(content) if role == "mask" else decode_image(content, min_side=min_side)
    except ValueError as error:
        raise Rejected(f"{role}: cannot be decoded: {error}") from None


def _check_mask(pixels: Mapping[str, UInt8Image], num_classes: int) -> None:
    if "mask" not in pixels:
        return
    mask, image = pixels["mask"], pixels["image"]
    if mask.shape != image.shape[:2]:
        raise Rejected(f"mask: {_told(mask)} pixels, and the picture {_told(image)}")
    highest = int(mask.max(where=mask != IGNORED, initial=0))
    if highest >= num_classes:
        raise Rejected(f"mask: found class {highest}, and the classes are 0 to {num_classes - 1}; is it void?")


def _check_pair(pixels: Mapping[str, UInt8Image]) -> None:
    for role in (role for role in pixels if role.startswith("x")):
        if not fits(pixels["hr"], pixels[role], int(role.removeprefix("x"))):
            raise Rejected(f"{role}: {_told(pixels[role])} pixels, and hr {_told(pixels['hr'])}")


def _told(image: UInt8Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _resized(role: str, image: UInt8Image, size: tuple[int, int]) -> UInt8Image:
    filtered = Image.Resampling.NEAREST if role == "mask" else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), filtered))


def _encoded(role: str, image: UInt8Image, jpeg_quality: int | None) -> tuple[str, bytes]:
    if role == "mask" or jpeg_quality is None:
        return "png", encode_png(image)
    return "jpg", encode_jpeg(image, jpeg_quality)
