"""Encoded pictures -> pixels, and back. It decides what can be decoded, and how fast; it knows no sample and no shard.

JPEGs are decoded by simplejpeg (libjpeg-turbo) and all else by Pillow, which gives the same pixels, bit for bit.
Pixels are uint8 ``[h, w, 3]`` RGB. Orientation in EXIF is not applied, as in the usual pipelines for these data sets.
"""

import io
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

MAX_PIXELS = 89_478_485
"""A picture with more is refused before it is decoded: a few KB could fill the memory (Pillow's own limit)."""

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
    if sniff(content) == "png" and content[12:16] == b"IHDR" and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        return _bounded(height, width)
    if sniff(content) == "jpg":
        try:
            return _bounded(*simplejpeg.decode_jpeg_header(content)[:2])
        except _NOT_SIMPLE:
            pass  # too large, which Pillow's header says again; no picture; or a subsampling that only Pillow knows
    with _opened(content) as picture:
        return picture.height, picture.width


def decode_image(content: bytes, *, min_side: int = 0) -> UInt8Image:
    """The picture as RGB, whatever its format and colour mode; of an animated one the first frame.

    Transparency is dropped, and of 16 bits the upper eight are kept.

    Args:
        content: JPEG, PNG, WebP, or anything else that Pillow reads.
        min_side: A JPEG is decoded at 1/2, 1/4 or 1/8 as long as no side gets shorter than this; 0 for its full size.

    Raises:
        ValueError: It is damaged, empty, cut off or too large; the message says which.
    """
    if sniff(content) == "jpg" and (pixels := _jpeg(content, min_side)) is not None:
        return pixels
    with _opened(content) as picture:
        if picture.mode == "F":
            raise ValueError("its pixels are fractions, whose range nobody knows")
        if picture.mode.startswith("I"):  # 16 bits of grey: Pillow would clip them
            return _grey16(np.asarray(picture))
        picture.info.pop("transparency", None)  # of a palette, or Pillow would print a warning
        return np.asarray(picture.convert("RGB"))


def is_grey(content: bytes) -> bool:
    """Whether a picture was saved with one channel (and perhaps transparency), by its header.

    Raises:
        ValueError: It is empty or no picture.
    """
    with _opened(content) as picture:
        return picture.mode in ("1", "L", "LA") or picture.mode.startswith("I")


def decode_mask(content: bytes) -> UInt8Image:
    """A mask's class numbers ``[h, w]``: the values of a grey picture, or the indices of one with a palette.

    Values of fewer than eight bits are as stored, not stretched to 255.

    Raises:
        ValueError: It is damaged, or of another kind (colours are no class numbers, JPEG would change them).
    """
    with _opened(content) as picture:
        if picture.format not in _EXACT:
            raise ValueError(f"a mask as {picture.format}: its class numbers may not be exact; it must be a PNG")
        if picture.mode not in ("1", "L", "P"):
            raise ValueError(f"a mask of mode {picture.mode}: one class number (8 bit) a pixel is needed")
        values = np.array(picture, np.uint8)
        if picture.format == "PNG" and picture.mode == "L":  # Pillow stretches 2 and 4 bits to 0..255
            values //= 255 // (2 ** content[_PNG_BITS] - 1)
        return values


def encode_png(image: UInt8Image) -> bytes:
    """Lossless PNG of uint8 ``[h, w]`` (grey) or ``[h, w, 3]`` (RGB)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def encode_jpeg(image: UInt8Image, quality: int) -> bytes:
    """JPEG (4:2:0) of uint8 ``[h, w, 3]`` RGB; ``quality`` from 1 to 100."""
    content: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, "RGB", "420")
    return content


_EXACT = ("PNG", "BMP")  # not GIF: Pillow, for one, gives its colours new numbers when it writes them
_PNG_BITS = 24  # where its header says how many a value has
_NOT_SIMPLE = (ValueError, KeyError)  # the latter is simplejpeg's word for a header of unknown colours
_CUT_OFF = ("Premature end", "premature end", "marker 0xd9 instead of RST")
_READERS: Mapping[str | None, Callable[[IO[bytes]], Image.Image]] = {"png": PngImageFile, "webp": WebPImageFile}


def _jpeg(content: bytes, min_side: int) -> UInt8Image | None:
    """None if Pillow is to decode it, which knows more kinds and minds fewer faults."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        _bounded(height, width)
        factor = max(factor for factor in (1, 2, 4, 8) if factor == 1 or min(height, width) >= factor * min_side > 0)
        # The sides to expect, not min_side itself: of that, 3/8 or 5/8 would come too, slower than 1/2 or the whole.
        limits = {"min_height": -(-height // factor), "min_width": -(-width // factor), "min_factor": 1}
        if colours not in ("CMYK", "YCCK"):
            pixels: UInt8Image = simplejpeg.decode_jpeg(content, "RGB", **limits)
            return pixels
        inks: UInt8Image = 255 - simplejpeg.decode_jpeg(content, "CMYK", **limits)  # Adobe's are the wrong way round
        return np.asarray(Image.frombytes("CMYK", inks.shape[1::-1], inks.tobytes()).convert("RGB"))
    except _NOT_SIMPLE as error:
        if any(sign in str(error) for sign in _CUT_OFF):  # Pillow would not mind if an end mark follows: half is grey
            raise ValueError(f"cut off: {error}") from None
        return None


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    """The picture as Pillow sees it, not decoded yet; whatever Pillow stumbles on becomes a ValueError of one line."""
    try:
        with _open(content) as picture:
            _bounded(picture.height, picture.width)
            yield picture
    except Exception as error:  # Pillow raises whatever a damaged file makes its readers do
        raise ValueError(_told(error)) from None


def _open(content: bytes) -> Image.Image:
    if not content:
        raise ValueError("empty")
    if (kind := sniff(content)) in _READERS:
        return _READERS[kind](io.BytesIO(content))  # not Image.open: it prints a warning about a large one
    with warnings.catch_warnings():  # changes them for all threads: little of what a shard holds comes here
        warnings.simplefilter("ignore")
        return Image.open(io.BytesIO(content))


def _bounded(height: int, width: int) -> tuple[int, int]:
    if height * width > MAX_PIXELS:
        raise ValueError(f"{width}x{height} pixels, more than {MAX_PIXELS} are refused")
    return height, width


def _grey16(values: NDArray[np.generic]) -> UInt8Image:
    grey = (values.astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _told(error: Exception) -> str:
    """One line; Pillow's message for what is no picture holds the address of an object."""
    if isinstance(error, UnidentifiedImageError):
        return "no picture"
    return " ".join(str(error).split()) or f"damaged ({type(error).__name__})"
