"""What one sample is: as a shard holds it (encoded parts) and as a task sees it (decoded fields).

It knows file extensions and ranges, and nothing of shards, order, batches or augmentation. Only the extensions named
here are ever decoded, and none of them can hold code.

Shapes: h, w = height, width, c = channels; s = scale of a super-resolution pair.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from wavemix.data.decode import UInt8Image, decode_image, decode_mask, is_grey
from wavemix.errors import DataError

IMAGE_EXTENSIONS = ("jpg", "png", "webp")
SPLITS = ("train", "val", "test")
SCALES = (2, 3, 4)
IGNORED = 255
"""The class number of mask pixels that count nowhere."""


@dataclass(frozen=True)
class Record:
    """A sample as a shard holds it: a key and, by file extension, encoded bytes.

    A picture's extension is its format (``jpg``), behind its role where it has one (``mask.png``, ``x2.png``).
    """

    key: str
    parts: Mapping[str, bytes]


class Sample(Protocol):
    """A sample as a task sees it; its fields are stacked into batches under their own names."""

    def fields(self) -> Mapping[str, NDArray[np.generic]]: ...


@dataclass(frozen=True)
class PlainImage:
    """A picture alone. ``image``: uint8 ``[h, w, 3]``, RGB."""

    schema: ClassVar[str] = "image"
    roles: ClassVar[tuple[str, ...]] = ("image",)

    key: str
    image: UInt8Image

    @classmethod
    def decode(cls, record: Record) -> Self:
        """Raises DataError, with the sample's key, if a part is missing or cannot be decoded."""
        return cls(record.key, image_of(record))

    def fields(self) -> Mapping[str, NDArray[np.generic]]:
        """``image``: uint8 ``[3, h, w]``."""
        return {"image": _planes(self.image)}


@dataclass(frozen=True)
class LabelledImage:
    """A picture and its class.

    ``image``: uint8 ``[h, w, 3]``, RGB.
    ``label``: class index in 0..k-1, in the shard as decimal digits under ``cls``.
    """

    schema: ClassVar[str] = "labelled_image"
    roles: ClassVar[tuple[str, ...]] = ("image",)

    key: str
    image: UInt8Image
    label: int

    @classmethod
    def decode(cls, record: Record, *, min_side: int = 0) -> Self:
        """Raises DataError, with the sample's key, if a part is missing or cannot be decoded.

        ``min_side`` allows a large JPEG to be decoded at a part of its size (``decode_image``).
        """
        try:
            label = int(record.parts["cls"])
        except (KeyError, ValueError):
            raise DataError(f"sample {record.key}: no whole number under .cls; found {sorted(record.parts)}") from None
        return cls(record.key, image_of(record, min_side=min_side), label)

    def fields(self) -> Mapping[str, NDArray[np.generic]]:
        """What is stacked into a batch: ``image`` uint8 ``[c, h, w]`` and ``label`` int64 ``[]``."""
        return {"image": _planes(self.image), "label": np.array(self.label, np.int64)}


@dataclass(frozen=True)
class MaskedImage:
    """A picture and the class of each of its pixels.

    ``image``: uint8 ``[h, w, 3]``, RGB.
    ``mask``: uint8 ``[h, w]``, class index in 0..k-1 or 255 (ignored), in the shard losslessly under ``mask.png``.
    """

    schema: ClassVar[str] = "image_with_mask"
    roles: ClassVar[tuple[str, ...]] = ("image", "mask")

    key: str
    image: UInt8Image
    mask: UInt8Image

    @classmethod
    def decode(cls, record: Record) -> Self:
        """Raises DataError, with the sample's key, if a part is missing, damaged, or of another size than the other."""
        image = image_of(record)
        try:
            mask = decode_mask(_part(record, "mask")[1])
        except ValueError as error:
            raise DataError(f"sample {record.key}: its mask cannot be decoded: {error}") from None
        if mask.shape != image.shape[:2]:
            raise DataError(f"sample {record.key}: the mask is {mask.shape}, the picture {image.shape[:2]} (h, w)")
        return cls(record.key, image, mask)

    def fields(self) -> Mapping[str, NDArray[np.generic]]:
        """``image``: uint8 ``[3, h, w]``; ``mask``: int64 ``[h, w]``."""
        return {"image": _planes(self.image), "mask": self.mask.astype(np.int64)}


@dataclass(frozen=True)
class ImagePair:
    """A picture in high resolution, and in low resolution by scale.

    ``high``: uint8 ``[h, w, 3]``, RGB, as published, in the shard under ``hr.png``.
    ``low``: by scale s, uint8 ``[h // s, w // s, 3]`` (rounded either way), in the shard under ``x2.png`` and so on.
    ``grey``: whether the high one was published with one channel, which decides how it is scored.
    """

    schema: ClassVar[str] = "image_pair"
    roles: ClassVar[tuple[str, ...]] = ("hr", *(f"x{scale}" for scale in SCALES))

    key: str
    high: UInt8Image
    low: Mapping[int, UInt8Image]
    grey: bool = False

    @classmethod
    def decode(cls, record: Record, *, scale: int | None = None) -> Self:
        """The pair of one scale (None: the smallest), both cropped at the bottom and right to what the other covers.

        Raises DataError, with the sample's key, if a part is missing, damaged, or the sizes do not fit.
        """
        scale = scale or _smallest_scale(record)
        high, low = image_of(record, "hr"), image_of(record, f"x{scale}")
        height, width = (
            min(of_high // scale, of_low) for of_high, of_low in zip(high.shape, low.shape[:2], strict=False)
        )
        if not fits(high, low, scale):
            raise DataError(
                f"sample {record.key}: {high.shape[:2]} (h, w) in high resolution is not x{scale} of {low.shape[:2]}"
            )
        grey = is_grey(_part(record, "hr")[1])
        return cls(record.key, high[: height * scale, : width * scale], {scale: low[:height, :width]}, grey)

    def fields(self) -> Mapping[str, NDArray[np.generic]]:
        """``high``: uint8 ``[3, h, w]``; ``low``: uint8 ``[3, h / s, w / s]`` of the only scale; ``grey``: bool."""
        (low,) = self.low.values()
        return {"high": _planes(self.high), "low": _planes(low), "grey": np.array(self.grey)}


SCHEMAS: Mapping[str, type[PlainImage] | type[LabelledImage] | type[MaskedImage] | type[ImagePair]] = {
    "image": PlainImage,
    "labelled_image": LabelledImage,
    "image_with_mask": MaskedImage,
    "image_pair": ImagePair,
}


def fits(high: UInt8Image, low: UInt8Image, scale: int) -> bool:
    """Whether two pictures can be a pair: up to the rounding of whoever made the low one."""
    return all(
        of_high >= scale and abs(of_high - of_low * scale) < scale
        for of_high, of_low in zip(high.shape[:2], low.shape[:2], strict=True)
    )


def image_of(record: Record, role: str = "image", *, min_side: int = 0) -> UInt8Image:
    """The record's picture of that role as uint8 ``[h, w, 3]`` RGB.

    Raises:
        DataError: There is none, or its bytes are damaged; the message names the sample.
    """
    extension, content = _part(record, role)
    try:
        return decode_image(content, min_side=min_side)
    except ValueError as error:
        raise DataError(f"sample {record.key}: its .{extension} cannot be decoded: {error}") from None


def extension_of(role: str, kind: str) -> str:
    """Under which extension a shard holds a picture of this role in this format: ``jpg``, ``mask.png``."""
    return kind if role == "image" else f"{role}.{kind}"


def _smallest_scale(record: Record) -> int:
    return next((scale for scale in SCALES if any(name.startswith(f"x{scale}.") for name in record.parts)), SCALES[0])


def _part(record: Record, role: str) -> tuple[str, bytes]:
    for kind in IMAGE_EXTENSIONS:
        if (extension := extension_of(role, kind)) in record.parts:
            return extension, record.parts[extension]
    looked_for = [extension_of(role, kind) for kind in IMAGE_EXTENSIONS]
    raise DataError(f"sample {record.key}: no {role}; looked for {looked_for}, found {sorted(record.parts)}")


def _planes(image: UInt8Image) -> NDArray[np.generic]:
    """``[c, h, w]``; a view if it lies in planes already, for it is copied into the batch anyway."""
    planes = image.transpose(2, 0, 1)
    lies_so = planes.strides[0] >= planes.strides[1] >= planes.strides[2] > 0  # torch takes no mirrored views
    return planes if lies_so else np.ascontiguousarray(planes)
