"""Encoded pictures -> pixels: Pillow is the oracle, and a file with a part missing is refused, not shown half grey."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile

from wavemix.data.decode import decode_image, decode_mask, encode_jpeg, encode_png, is_grey, size_of, sniff

UInt8Image = NDArray[np.uint8]


def scene(height: int = 97, width: int = 131) -> UInt8Image:
    """A gradient with some noise: no two rows and no two columns are equal."""
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([x * 255 // width, y * 255 // height, (3 * x + 2 * y) % 256], axis=-1)
    return np.clip(smooth + np.random.default_rng(0).integers(-9, 10, smooth.shape), 0, 255).astype(np.uint8)


def encoded(kind: str, image: UInt8Image | None = None, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scene() if image is None else image).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def by_pillow(content: bytes) -> UInt8Image:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(rows: bytes, width: int, height: int, bits: int, colour: int) -> bytes:
    """A PNG by hand; every row begins with a zero (no filter)."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


# --- JPEG ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", [30, 75, 90, 100])
@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": "4:2:0"},
        {"subsampling": "4:2:2"},
        {"subsampling": "4:4:4"},
        {"progressive": True},
        {"mode": "L"},
        {"keep_rgb": True},
        {"restart_marker_rows": 1},
    ],
    ids=str,
)
def test_jpeg_is_what_pillow_makes_of_it(options: dict, quality: int) -> None:
    for height, width in ((97, 131), (64, 64), (1, 1), (7, 200), (17, 16)):
        content = encoded("JPEG", scene(height, width), quality=quality, **options)
        np.testing.assert_array_equal(decode_image(content), by_pillow(content))


@pytest.mark.parametrize("kind", ["CMYK", "YCCK"])
def test_jpeg_in_four_inks_is_what_pillow_makes_of_it(kind: str) -> None:
    inks = np.asarray(Image.fromarray(scene()).convert("CMYK"))
    content = (
        encoded("JPEG", mode="CMYK", quality=95)
        if kind == "CMYK"
        else simplejpeg.encode_jpeg(np.ascontiguousarray(255 - inks), 95, "CMYK", "444")
    )
    assert simplejpeg.decode_jpeg_header(content)[2] == kind
    np.testing.assert_array_equal(decode_image(content), by_pillow(content))
    assert np.abs(decode_image(content).astype(int) - scene()).mean() < 6


def test_a_subsampling_that_only_pillow_knows() -> None:
    content = bytearray(encoded("JPEG", np.full((33, 35, 3), 128, np.uint8), subsampling="4:4:4"))
    frame = content.index(b"\xff\xc0") + 2 + 8
    for component, factors in enumerate((0x22, 0x12, 0x21)):
        content[frame + 3 * component + 1] = factors
    scan = content.index(b"\xff\xda")
    start = scan + 2 + int.from_bytes(content[scan + 2 : scan + 4], "big")
    block, blocks = {0: "001010", 1: "0000"}, (0, 0, 0, 0, 1, 1, 1, 1)  # no change of brightness, end of block
    bits = "".join(block[table] for table in blocks) * (3 * 3)
    bits += "1" * (-len(bits) % 8)
    content[start:] = int(bits, 2).to_bytes(len(bits) // 8, "big") + b"\xff\xd9"
    with pytest.raises(ValueError, match="subsampling"):
        simplejpeg.decode_jpeg_header(bytes(content))
    assert size_of(bytes(content)) == (33, 35)
    np.testing.assert_array_equal(decode_image(bytes(content)), np.full((33, 35, 3), 128))


@pytest.mark.parametrize(
    ("min_side", "size"),
    [
        (0, (600, 800)),
        (1, (75, 100)),
        (75, (75, 100)),
        (76, (150, 200)),
        (150, (150, 200)),
        (151, (300, 400)),
        (300, (300, 400)),
        (301, (600, 800)),
        (600, (600, 800)),
        (601, (600, 800)),
        (5000, (600, 800)),
    ],
)
def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(min_side: int, size: tuple[int, int]) -> None:
    content = encoded("JPEG", scene(600, 800), quality=90)
    decoded = decode_image(content, min_side=min_side)
    assert decoded.shape == (*size, 3)
    with Image.open(io.BytesIO(content)) as draft:
        draft.draft("RGB", (size[1], size[0]))
        np.testing.assert_array_equal(decoded, np.asarray(draft))


@pytest.mark.parametrize("size", [(1, 1), (9, 5), (31, 33), (97, 131), (255, 1000)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_no_side_gets_shorter_than_asked(size: tuple[int, int], mode: str) -> None:
    content = encoded("JPEG", scene(*size), mode)
    for min_side in (1, 2, 3, 5, 8, 16, 31, 32, 96, 97, 98):
        shape = decode_image(content, min_side=min_side).shape
        assert min(shape[:2]) >= min(min_side, *size)
        assert any(shape[:2] == (-(-size[0] // factor), -(-size[1] // factor)) for factor in (1, 2, 4, 8))


def test_min_side_is_for_jpeg_alone() -> None:
    assert decode_image(encoded("PNG"), min_side=10).shape == (97, 131, 3)


# --- the orientation is not applied, and nothing in EXIF can do harm ------------------------------------------------


def test_exif_turns_nothing() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    for kind in ("JPEG", "PNG", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        turned = decode_image(encoded(kind, exif=exif, **options))
        np.testing.assert_array_equal(turned, decode_image(encoded(kind, **options)))


def test_broken_exif_is_no_matter() -> None:
    exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03\xff\xff\xff\xff\xff\xff\xff\xff" * 3
    content = encoded("JPEG", exif=exif)
    np.testing.assert_array_equal(decode_image(content), decode_image(encoded("JPEG")))
    for_pillow = content[:-2] + bytes(3) + content[-2:]
    np.testing.assert_array_equal(decode_image(for_pillow), decode_image(content))


# --- other formats and colour modes ---------------------------------------------------------------------------------


def test_16_bits_of_grey_are_not_clipped() -> None:
    values = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    decoded = decode_image(buffer.getvalue())
    np.testing.assert_array_equal(decoded, np.repeat((values >> 8).astype(np.uint8)[:, :, None], 3, axis=2))
    by_hand = b"P5 64 64 65535\n" + values.astype(">u2").tobytes()
    np.testing.assert_array_equal(decode_image(by_hand), decoded)


def test_16_bits_of_colour_keep_the_upper_eight() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (5, 7, 3)).astype(">u2")
    content = png(b"".join(b"\0" + row.tobytes() for row in values), 7, 5, 16, 2)
    np.testing.assert_array_equal(decode_image(content), values >> 8)


def test_fractions_are_refused() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)).save(buffer, "TIFF")
    with pytest.raises(ValueError, match="fractions"):
        decode_image(buffer.getvalue())


def test_transparency_is_dropped() -> None:
    colours = scene(4, 5)
    alpha = np.arange(20, dtype=np.uint8).reshape(4, 5, 1) * 12
    np.testing.assert_array_equal(decode_image(encode_png(np.concatenate([colours, alpha], axis=2))), colours)
    grey = Image.fromarray(np.concatenate([colours[:, :, :1], alpha], axis=2), "LA")
    buffer = io.BytesIO()
    grey.save(buffer, "PNG")
    np.testing.assert_array_equal(decode_image(buffer.getvalue()), np.repeat(colours[:, :, :1], 3, axis=2))


@pytest.mark.parametrize(("kind", "transparency"), [("PNG", 3), ("PNG", bytes([0, 60, 120, 255])), ("GIF", 3)])
def test_a_palette_with_transparency_gives_its_colours(kind: str, transparency: object) -> None:
    picture = Image.new("P", (4, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    picture.putdata([0, 1, 2, 3])
    buffer = io.BytesIO()
    picture.save(buffer, kind, transparency=transparency)
    decoded = decode_image(buffer.getvalue())
    np.testing.assert_array_equal(decoded[0], np.arange(10, 130, 10).reshape(4, 3))


def test_one_bit_is_black_and_white() -> None:
    bits = scene(9, 13)[:, :, 0] > 128
    buffer = io.BytesIO()
    Image.fromarray(bits).save(buffer, "PNG")
    np.testing.assert_array_equal(decode_image(buffer.getvalue()), np.repeat(bits[:, :, None], 3, axis=2) * 255)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_formats(kind: str) -> None:
    content = encoded(kind, **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(decode_image(content), scene())
    assert size_of(content) == (97, 131)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animated_picture_the_first_frame_counts(kind: str) -> None:
    frames = [Image.new("RGB", (16, 8), colour) for colour in ("red", "lime", "blue")]
    buffer = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=50, **options)
    with Image.open(io.BytesIO(buffer.getvalue())) as opened:
        assert opened.n_frames == 3
    np.testing.assert_array_equal(decode_image(buffer.getvalue()), np.asarray(frames[0]))


def test_a_file_is_what_its_first_bytes_say() -> None:
    assert {kind: sniff(encoded(kind)) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")} == {
        "JPEG": "jpg",
        "PNG": "png",
        "WEBP": "webp",
        **dict.fromkeys(("GIF", "BMP", "TIFF", "PPM")),
    }
    assert sniff(b"") is None
    assert sniff(b"RIFF....WAVE") is None


# --- damage: refused in one line ------------------------------------------------------------------------------------


def refusal(content: bytes) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the callers look at the message)
        decode_image(content)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert " at 0x" not in message
    return message


def test_what_is_no_picture() -> None:
    assert refusal(b"") == "empty"
    assert refusal(b"no such file\n") == "no picture"
    assert refusal(b"<html><body>404</body></html>") == "no picture"
    assert refusal(bytes(1000)) == "no picture"
    for start in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x00\x00\x00\x00WEBP"):
        refusal(start)
        refusal(start + bytes(1000))
        with pytest.raises(ValueError):  # noqa: PT011
            size_of(start)


def test_pillow_is_not_told_to_load_truncated_files() -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


JPEGS = {
    "plain": encoded("JPEG", quality=90),
    "progressive": encoded("JPEG", quality=90, progressive=True),
    "restarts": encoded("JPEG", quality=90, restart_marker_blocks=4),
    "grey": encoded("JPEG", mode="L"),
    "inks": encoded("JPEG", mode="CMYK"),
}


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_cut_off_anywhere(name: str) -> None:
    content = JPEGS[name]
    for stop in range(3, len(content), 61):
        refusal(content[:stop])
    assert refusal(content[:-1]).startswith("cut off: ")


@pytest.mark.parametrize("name", ["plain", "grey", "inks", "restarts"])
def test_a_cut_off_jpeg_with_an_end_mark_is_not_half_grey(name: str) -> None:
    """Pillow alone takes this for a whole picture. A progressive one may end after any of its scans."""
    content, scan = JPEGS[name], JPEGS[name].index(b"\xff\xda") + 30
    half = content[: len(content) // 2] + b"\xff\xd9"
    assert by_pillow(half).shape == (97, 131, 3)
    for stop in range(scan, len(content) - 20, 29):
        assert refusal(content[:stop] + b"\xff\xd9").startswith("cut off: ")


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_whose_rest_is_zeros(name: str) -> None:
    content = JPEGS[name]
    for share in (0.3, 0.5, 0.9):
        whole = round(len(content) * share)
        assert refusal(content[:whole] + bytes(len(content) - whole)).startswith("cut off: ")


@pytest.mark.parametrize(
    "tail", [b"\n", b"garbage" * 99, bytes(4096), JPEGS["grey"]], ids=["line", "text", "0", "jpeg"]
)
@pytest.mark.parametrize("name", JPEGS)
def test_what_follows_a_whole_jpeg_is_no_matter(name: str, tail: bytes) -> None:
    np.testing.assert_array_equal(decode_image(JPEGS[name] + tail), decode_image(JPEGS[name]))


def test_stray_bytes_within_a_jpeg_are_mended() -> None:
    """Some cameras write them: libjpeg warns, and every picture viewer shows the picture."""
    content = JPEGS["plain"]
    stray = content[:-2] + b"\x00\x00\x00" + content[-2:]
    np.testing.assert_array_equal(decode_image(stray), decode_image(content))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM"])
def test_another_format_cut_off(kind: str) -> None:
    content = encoded(kind)
    for share in (0.02, 0.1, 0.5, 0.9, 0.98):
        refusal(content[: round(len(content) * share)])


def test_a_png_with_rows_missing_or_changed() -> None:
    rows = (b"\0" + bytes(range(20))) * 20
    np.testing.assert_array_equal(decode_image(png(rows, 20, 20, 8, 0))[7, :, 1], np.arange(20))
    refusal(png(rows[:200], 20, 20, 8, 0))
    broken = bytearray(encoded("PNG"))
    broken[len(broken) // 2] ^= 255
    refusal(bytes(broken))


def bombs() -> dict[str, bytes]:
    """Small files that claim to be huge."""
    jpeg = bytearray(encoded("JPEG"))
    frame = jpeg.index(b"\xff\xc0") + 5
    jpeg[frame : frame + 4] = struct.pack(">HH", 65000, 65000)
    bmp = bytearray(encoded("BMP"))
    bmp[18:26] = struct.pack("<ii", 60000, 60000)
    gif = bytearray(encoded("GIF"))
    gif[6:10] = struct.pack("<HH", 60000, 60000)
    webp = bytearray(encoded("WEBP", lossless=True))
    webp[21:25] = (16382 | 16382 << 14).to_bytes(4, "little")
    large = bytearray(gif)
    large[6:10] = struct.pack("<HH", 10000, 10000)  # where Pillow would only warn
    return {
        "png": png(b"\0", 60000, 60000, 8, 2),
        "large png": png(b"\0", 10000, 10000, 8, 2),
        "jpeg": bytes(jpeg),
        "bmp": bytes(bmp),
        "gif": bytes(gif),
        "large gif": bytes(large),
        "webp": bytes(webp),
        "ppm": b"P6 60000 60000 255\n",
        "large ppm": b"P6 10000 10000 255\n",
    }


@pytest.mark.parametrize("name", bombs())
def test_a_bomb_is_refused_by_its_header(name: str) -> None:
    content = bombs()[name]
    for read in (size_of, decode_image, decode_mask):
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            with pytest.raises(ValueError, match=r"refused|decompression bomb"):
                read(content)
        assert heard == []


# --- masks ----------------------------------------------------------------------------------------------------------

CLASSES = np.array([[0, 1, 2], [18, 254, 255]], np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_a_grey_mask_holds_its_values(kind: str) -> None:
    np.testing.assert_array_equal(decode_mask(encoded(kind, CLASSES, "L")), CLASSES)


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_a_mask_with_a_palette_holds_its_indices(kind: str) -> None:
    mask = Image.fromarray(CLASSES, "P")
    mask.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
    buffer = io.BytesIO()
    mask.save(buffer, kind)
    np.testing.assert_array_equal(decode_mask(buffer.getvalue()), CLASSES)
    assert decode_mask(buffer.getvalue()).flags.writeable


@pytest.mark.parametrize(("bits", "packed"), [(1, b"\xa0"), (2, b"\x1b"), (4, b"\x01\x2f")])
def test_a_mask_of_few_bits_is_not_stretched(bits: int, packed: bytes) -> None:
    expected = {1: [1, 0, 1, 0], 2: [0, 1, 2, 3], 4: [0, 1, 2, 15]}[bits]
    decoded = decode_mask(png(b"\0" + packed, 4, 1, bits, 0))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, [expected])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (encoded("PNG"), "a mask of mode RGB"),
        (encoded("PNG", mode="RGBA"), "a mask of mode RGBA"),
        (encoded("PNG", mode="LA"), "a mask of mode LA"),
        (encoded("PNG", mode="I;16"), "a mask of mode I;16"),
        (encoded("WEBP"), "a mask as WEBP"),
        (encoded("JPEG", mode="L"), "a mask as JPEG"),
        (encoded("GIF", CLASSES, "L"), "a mask as GIF"),
        (b"P5 2 2 3\n\0\1\2\3", "a mask as PPM"),  # Pillow stretches it to 0..255
        (encoded("PNG", CLASSES, "L")[:-24], "truncated"),
        (b"", "empty"),
        (b"text", "no picture"),
    ],
)
def test_what_is_no_mask(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        decode_mask(content)


# --- back again -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (5, 7, 3), (1, 9, 3)])
def test_png_is_lossless(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    back = decode_image(encode_png(image))
    np.testing.assert_array_equal(back, image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2))
    if image.ndim == 2:
        np.testing.assert_array_equal(decode_mask(encode_png(image)), image)


def test_jpeg_is_close_and_smaller_with_less_quality() -> None:
    image = scene(64, 96)
    contents = {quality: encode_jpeg(image[:, ::-1], quality) for quality in (30, 75, 95)}
    assert sorted(map(len, contents.values())) == list(map(len, contents.values()))
    assert {simplejpeg.decode_jpeg_header(content)[3] for content in contents.values()} == {"420"}
    error = np.abs(decode_image(contents[95]).astype(int) - image[:, ::-1]).mean()
    assert error < 12
    assert decode_image(contents[95]).shape == image.shape


@pytest.mark.parametrize(
    ("mode", "kind", "grey"),
    [
        ("L", "PNG", True),
        ("LA", "PNG", True),
        ("1", "PNG", True),
        ("I;16", "PNG", True),
        ("L", "JPEG", True),
        ("RGB", "PNG", False),
        ("RGBA", "PNG", False),
        ("P", "PNG", False),
        ("RGB", "JPEG", False),
    ],
)
def test_a_picture_is_grey_by_its_channels_and_not_by_its_colours(mode: str, kind: str, grey: bool) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (5, 4)).save(buffer, kind)
    assert is_grey(buffer.getvalue()) is grey
