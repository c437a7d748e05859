"""Records -> samples: any colour mode becomes RGB, and what cannot be decoded names its sample."""

import io

import numpy as np
import pytest
from PIL import Image

from wavemix.data import LabelledImage, Record
from wavemix.data.schema import encode_png
from wavemix.errors import DataError

RED = (200, 10, 30)


def picture(mode: str, file_format: str = "PNG") -> bytes:
    """2 x 3 pixels of one colour in a colour mode."""
    image = Image.new("RGBA", (3, 2), (*RED, 128)) if mode == "RGBA" else Image.new("RGB", (3, 2), RED).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, file_format, quality=100, lossless=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "file_format", "extension", "colour", "tolerance"),
    [
        ("RGB", "PNG", "png", RED, 0),
        ("RGB", "WEBP", "webp", RED, 0),
        ("RGBA", "PNG", "png", RED, 0),
        ("P", "PNG", "png", RED, 30),  # the nearest of the palette's colours
        ("L", "PNG", "png", (69, 69, 69), 1),
        ("1", "PNG", "png", None, 0),
        ("CMYK", "JPEG", "jpg", RED, 4),
        ("L", "JPEG", "jpeg", (69, 69, 69), 2),
    ],
)
def test_every_colour_mode_becomes_rgb(mode, file_format, extension, colour, tolerance) -> None:
    sample = LabelledImage.decode(Record("a", {extension: picture(mode, file_format), "cls": b"7"}))
    assert (sample.key, sample.label) == ("a", 7)
    assert sample.image.dtype == np.uint8
    assert sample.image.shape == (2, 3, 3)
    if colour is not None:
        assert np.abs(sample.image.astype(int) - np.array(colour)).max() <= tolerance
    else:
        assert set(np.unique(sample.image)) <= {0, 255}


def test_png_is_lossless() -> None:
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    image = LabelledImage.decode(Record("a", {"png": encode_png(grey), "cls": b"0"})).image
    np.testing.assert_array_equal(image, np.repeat(grey[:, :, None], 3, axis=2))
    colour = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    np.testing.assert_array_equal(
        LabelledImage.decode(Record("a", {"png": encode_png(colour), "cls": b"0"})).image, colour
    )


def test_fields_are_channels_first_and_contiguous() -> None:
    image = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    fields = LabelledImage("a", image, 5).fields()
    assert fields["image"].flags.c_contiguous
    np.testing.assert_array_equal(fields["image"][1], image[:, :, 1])
    assert fields["label"].dtype == np.int64
    assert fields["label"] == 5


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"png": picture("RGB")[:40], "cls": b"1"}, r"sample b/0007: its \.png cannot be decoded"),
        ({"jpg": picture("RGB", "JPEG")[:300], "cls": b"1"}, r"sample b/0007: its \.jpg cannot be decoded"),
        ({"jpg": b"", "cls": b"1"}, r"sample b/0007: its \.jpg cannot be decoded"),
        ({"gif": b"GIF89a", "cls": b"1"}, r"sample b/0007: no picture; looked for .*found \['cls', 'gif'\]"),
        ({"png": picture("RGB")}, r"sample b/0007: no whole number under \.cls; found \['png'\]"),
        ({"png": picture("RGB"), "cls": b"cat"}, r"sample b/0007: no whole number under \.cls"),
    ],
)
def test_damage_names_the_sample(parts: dict[str, bytes], words: str) -> None:
    with pytest.raises(DataError, match=words):
        LabelledImage.decode(Record("b/0007", parts))


def test_nothing_in_a_record_can_run_code() -> None:
    """A part whose extension promises a pickle is not even looked at."""
    evil = b"cos\nsystem\n(S'exit 1'\ntR."
    sample = LabelledImage.decode(Record("a", {"png": picture("RGB"), "cls": b"1", "pyd": evil, "pickle": evil}))
    assert sample.label == 1
