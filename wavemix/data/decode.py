"""Encoded pictures -> pixels, and back. It decides what can be decoded, and how fast; it knows no sample and no shard.

JPEGs are decoded by simplejpeg (libjpeg-turbo) and all else by Pillow, which gives the same pixels, bit for bit.
Pixels are uint8 ``[h, w, 3]`` RGB. Orientation in EXIF is not applied, as in the usual pipelines for these data sets.
"""

import io
import struct

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 89_478_485
"""A picture with more is refused before it is decoded: a file of a few KB could fill the memory (Pillow's own limit)."""

UInt8Image = NDArray[np.uint8]


def sniff(content: bytes) -> str | None:
    """``jpg``, ``png`` or ``webp`` by its first bytes, whatever it was called; None for anything else."""
    if content[:3] == b"\xff\xd8\xff":
        return "jpg"
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return None


def size_of(content: bytes) -> tuple[int, int]:
    """Height and width as its header states them.

    Raises:
        ValueError: It is empty, no picture, or has more than ``MAX_PIXELS``.
    """
    if not content:
        raise ValueError("empty")
    kind = sniff(content)
    try:
        if kind == "jpg":
            height, width = simplejpeg.decode_jpeg_header(content, strict=False)[:2]
        elif kind == "png":
            width, height = struct.unpack(">II", content[16:24])
        else:
            with Image.open(io.BytesIO(content)) as picture:
                width, height = picture.size
    except (ValueError, struct.error, *_NOT_DECODABLE) as error:
        raise ValueError(_told(error)) from None
    if height * width > MAX_PIXELS:
        raise ValueError(f"{width}x{height} pixels, more than {MAX_PIXELS} are refused")
    return height, width


def decode_image(content: bytes, *, min_side: int = 0) -> UInt8Image:
    """The picture as RGB, whatever its format and colour mode; of an animated one the first frame.

    Args:
        content: JPEG, PNG, WebP, or anything else that Pillow reads.
        min_side: A JPEG is decoded at 1/2, 1/4 or 1/8 as long as no side gets shorter than this; 0 for its full size.

    Raises:
        ValueError: It is damaged, empty, cut off or too large; the message says which.
    """
    size_of(content)
    if sniff(content) == "jpg":
        limits = {"min_height": min_side, "min_width": min_side, "min_factor": 1} if min_side else {}
        try:
            pixels: UInt8Image = simplejpeg.decode_jpeg(content, "RGB", **limits)
            return pixels
        except ValueError:
            pass  # CMYK, or a fault that Pillow can mend
    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.mode.startswith("I"):  # 16 bits of grey: Pillow would clip them
                return _grey16(np.asarray(picture))
            return np.asarray(picture.convert("RGB"))
    except _NOT_DECODABLE as error:
        raise ValueError(_told(error)) from None


def decode_mask(content: bytes) -> UInt8Image:
    """A mask's class numbers ``[h, w]``: the values of a grey picture, or the indices of one with a palette.

    Raises:
        ValueError: It is damaged, or of another kind (colours are no class numbers, JPEG would change them).
    """
    size_of(content)
    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.format == "JPEG":
                raise ValueError("a mask as JPEG: its class numbers are not exact any more")
            if picture.mode == "1":
                return np.asarray(picture).astype(np.uint8)
            if picture.mode not in ("L", "P"):
                raise ValueError(f"a mask of mode {picture.mode}: one class number (8 bit) a pixel is needed")
            return np.array(picture)
    except _NOT_DECODABLE as error:
        raise ValueError(_told(error)) from None


def encode_png(image: UInt8Image) -> bytes:
    """Lossless PNG of uint8 ``[h, w]`` (grey) or ``[h, w, 3]`` (RGB)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def encode_jpeg(image: UInt8Image, quality: int) -> bytes:
    """JPEG (4:2:0) of uint8 ``[h, w, 3]`` RGB; ``quality`` from 1 to 100."""
    content: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, "RGB", "420")
    return content


_NOT_DECODABLE = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
    EOFError,
)


def _grey16(values: NDArray[np.generic]) -> UInt8Image:
    grey = (values.astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _told(error: Exception) -> str:
    """One line; Pillow's message for what is no picture holds the address of an object."""
    return "no picture" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split()) or "damaged"
