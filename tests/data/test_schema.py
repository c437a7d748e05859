"""Records -> samples: parts are found by their extension, must fit each other, and an error names its sample."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from wavemix.data.decode import encode_jpeg, encode_png
from wavemix.data.schema import (
    SCHEMAS,
    ImagePair,
    LabelledImage,
    MaskedImage,
    PlainImage,
    Record,
    extension_of,
    image_of,
)
from wavemix.errors import DataError

UInt8Image = NDArray[np.uint8]


def noise(height: int, width: int, seed: int = 0) -> UInt8Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def webp(image: UInt8Image) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


PNG = encode_png(noise(2, 3))
JPEG = encode_jpeg(noise(40, 60), 90)


def test_schemas_are_named_as_they_say() -> None:
    assert {name: sample.schema for name, sample in SCHEMAS.items()} == {name: name for name in SCHEMAS}
    assert {name: sample.roles for name, sample in SCHEMAS.items()} == {
        "image": ("image",),
        "labelled_image": ("image",),
        "image_with_mask": ("image", "mask"),
        "image_pair": ("hr", "x2", "x3", "x4"),
    }


def test_extensions() -> None:
    assert extension_of("image", "jpg") == "jpg"
    assert extension_of("mask", "png") == "mask.png"
    assert extension_of("x2", "webp") == "x2.webp"


@pytest.mark.parametrize(("extension", "encode"), [("png", encode_png), ("webp", webp)])
def test_a_picture_is_found_under_its_format(extension: str, encode: object) -> None:
    image = noise(5, 7)
    np.testing.assert_array_equal(image_of(Record("a", {extension: encode(image)})), image)
    np.testing.assert_array_equal(image_of(Record("a", {f"hr.{extension}": encode(image)}), "hr"), image)


@pytest.mark.parametrize("extension", ["jpeg", "JPG", "bmp", "gif", "tif", "pyd", "hr.png"])
def test_no_other_extension_is_looked_at(extension: str) -> None:
    with pytest.raises(DataError) as caught:
        image_of(Record("b/0007", {extension: PNG, "cls": b"1"}))
    found = sorted(["cls", extension])
    assert str(caught.value) == f"sample b/0007: no image; looked for ['jpg', 'png', 'webp'], found {found}"


def test_the_content_decides_and_not_the_extension() -> None:
    np.testing.assert_array_equal(image_of(Record("a", {"jpg": PNG})), noise(2, 3))


def test_plain_image() -> None:
    sample = PlainImage.decode(Record("a", {"png": PNG}))
    assert sample.key == "a"
    fields = sample.fields()
    assert fields.keys() == {"image"}
    assert fields["image"].dtype == np.uint8
    assert fields["image"].flags.c_contiguous
    np.testing.assert_array_equal(fields["image"], noise(2, 3).transpose(2, 0, 1))


def test_labelled_image() -> None:
    sample = LabelledImage.decode(Record("a", {"png": PNG, "cls": b"7"}))
    assert (sample.key, sample.label) == ("a", 7)
    fields = sample.fields()
    assert fields.keys() == {"image", "label"}
    assert fields["image"].flags.c_contiguous
    np.testing.assert_array_equal(fields["image"][1], noise(2, 3)[:, :, 1])
    assert fields["label"].dtype == np.int64
    assert fields["label"].shape == ()
    assert fields["label"] == 7


def test_a_large_jpeg_may_be_decoded_at_a_part_of_its_size() -> None:
    record = Record("a", {"jpg": JPEG, "cls": b"0"})
    assert LabelledImage.decode(record).image.shape == (40, 60, 3)
    assert LabelledImage.decode(record, min_side=20).image.shape == (20, 30, 3)
    assert LabelledImage.decode(record, min_side=21).image.shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"png": PNG[:40], "cls": b"1"}, r"sample b/0007: its \.png cannot be decoded: "),
        ({"jpg": JPEG[:300], "cls": b"1"}, r"sample b/0007: its \.jpg cannot be decoded: "),
        ({"jpg": b"", "cls": b"1"}, r"sample b/0007: its \.jpg cannot be decoded: empty"),
        ({"webp": b"text", "cls": b"1"}, r"sample b/0007: its \.webp cannot be decoded: no picture"),
        ({"cls": b"1"}, r"sample b/0007: no image; looked for .*found \['cls'\]"),
        ({"png": PNG}, r"sample b/0007: no whole number under \.cls; found \['png'\]"),
        ({"png": PNG, "cls": b"cat"}, r"sample b/0007: no whole number under \.cls"),
        ({"png": PNG, "cls": b""}, r"sample b/0007: no whole number under \.cls"),
    ],
)
def test_damage_names_the_sample(parts: dict[str, bytes], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        LabelledImage.decode(Record("b/0007", parts))
    assert "\n" not in str(caught.value)


def test_masked_image() -> None:
    mask = np.array([[0, 18, 255], [1, 2, 3]], np.uint8)
    sample = MaskedImage.decode(Record("a", {"png": PNG, "mask.png": encode_png(mask)}))
    np.testing.assert_array_equal(sample.image, noise(2, 3))
    fields = sample.fields()
    assert fields.keys() == {"image", "mask"}
    assert fields["mask"].dtype == np.int64
    np.testing.assert_array_equal(fields["mask"], mask)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"png": PNG}, r"sample c: no mask; looked for \['mask\.jpg', 'mask\.png', 'mask\.webp'\], found \['png'\]"),
        ({"mask.png": PNG}, r"sample c: no image; looked for \['jpg', 'png', 'webp'\]"),
        ({"png": PNG, "mask.png": PNG}, r"sample c: its mask cannot be decoded: a mask of mode RGB"),
        ({"png": PNG, "mask.jpg": JPEG}, r"sample c: its mask cannot be decoded: a mask as JPEG"),
        ({"png": PNG, "mask.png": b""}, r"sample c: its mask cannot be decoded: empty"),
        (
            {"png": PNG, "mask.png": encode_png(np.zeros((3, 2), np.uint8))},
            r"sample c: the mask is \(3, 2\), the picture \(2, 3\) \(h, w\)",
        ),
    ],
)
def test_a_mask_must_fit_its_picture(parts: dict[str, bytes], words: str) -> None:
    with pytest.raises(DataError, match=words):
        MaskedImage.decode(Record("c", parts))


def pair(high: UInt8Image, low: UInt8Image, scale: int) -> Record:
    return Record("0801", {"hr.png": encode_png(high), f"x{scale}.png": encode_png(low)})


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_image_pair(scale: int) -> None:
    high, low = noise(6 * scale, 5 * scale), noise(6, 5, seed=1)
    sample = ImagePair.decode(pair(high, low, scale), scale=scale)
    np.testing.assert_array_equal(sample.high, high)
    assert sample.low.keys() == {scale}
    np.testing.assert_array_equal(sample.low[scale], low)
    fields = sample.fields()
    assert fields.keys() == {"high", "low", "grey"}
    assert fields["high"].shape == (3, 6 * scale, 5 * scale)
    np.testing.assert_array_equal(fields["low"], low.transpose(2, 0, 1))
    assert fields["low"].flags.c_contiguous


@pytest.mark.parametrize(
    ("high", "low", "covered"),
    [
        ((25, 30), (6, 7), (6, 7)),  # rounded down: what is left of the high one is cut off
        ((25, 30), (7, 8), (6, 7)),  # rounded up: what is left of the low one is
        ((24, 31), (6, 8), (6, 7)),
        ((27, 24), (6, 6), (6, 6)),
        ((21, 24), (6, 6), (5, 6)),
    ],
)
def test_a_pair_is_cropped_to_what_both_cover(high: tuple, low: tuple, covered: tuple) -> None:
    of_high, of_low = noise(*high), noise(*low, seed=1)
    sample = ImagePair.decode(pair(of_high, of_low, 4), scale=4)
    np.testing.assert_array_equal(sample.high, of_high[: covered[0] * 4, : covered[1] * 4])
    np.testing.assert_array_equal(sample.low[4], of_low[: covered[0], : covered[1]])


@pytest.mark.parametrize(
    ("high", "low"), [((24, 28), (6, 6)), ((28, 24), (6, 6)), ((20, 24), (6, 6)), ((6, 6), (6, 6))]
)
def test_another_picture_is_no_pair(high: tuple, low: tuple) -> None:
    with pytest.raises(DataError) as caught:
        ImagePair.decode(pair(noise(*high), noise(*low), 4), scale=4)
    assert str(caught.value) == f"sample 0801: {high} (h, w) in high resolution is not x4 of {low}"


def test_a_pair_without_the_scale() -> None:
    with pytest.raises(
        DataError, match=r"sample 0801: no x3; looked for \['x3\.jpg', .*found \['hr\.png', 'x2\.png'\]"
    ):
        ImagePair.decode(pair(noise(4, 4), noise(2, 2), 2), scale=3)


def test_nothing_in_a_record_can_run_code() -> None:
    """A part whose extension promises a pickle is not even looked at."""
    evil = b"cos\nsystem\n(S'exit 1'\ntR."
    sample = LabelledImage.decode(Record("a", {"png": PNG, "cls": b"1", "pyd": evil, "pickle": evil}))
    assert sample.label == 1


@pytest.mark.parametrize("view", [np.s_[:, :], np.s_[::-1, :], np.s_[:, ::-1], np.s_[1:5, 2:6], np.s_[::2, ::2]])
@pytest.mark.parametrize("planar", [True, False])
def test_fields_hold_the_same_values_however_the_picture_lies(view: tuple[slice, slice], planar: bool) -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    if planar:
        image = np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0)
    fields = PlainImage("a", image[view]).fields()
    np.testing.assert_array_equal(fields["image"], image[view].transpose(2, 0, 1))
    assert all(stride > 0 for stride in fields["image"].strides)
