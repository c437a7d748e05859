"""Raw parts -> a record: what is kept byte for byte, what is encoded anew, and what is rejected with which reason."""

import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import wavemix.data.admit
from wavemix.data.admit import Admission, Rejected, admit
from wavemix.data.decode import decode_image, decode_mask, encode_jpeg, encode_png
from wavemix.data.schema import SCHEMAS, ImagePair, LabelledImage, MaskedImage, PlainImage, Record
from wavemix.errors import DataError

UInt8Image = NDArray[np.uint8]

PLAIN = Admission(schema="image", num_classes=0, check=True, shortest_side=None, jpeg_quality=None)
LABELLED = replace(PLAIN, schema="labelled_image", num_classes=10)
MASKED = replace(PLAIN, schema="image_with_mask", num_classes=19)
PAIR = replace(PLAIN, schema="image_pair")


def smooth(height: int = 40, width: int = 60) -> UInt8Image:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=-1).astype(np.uint8)


def encoded(kind: str, image: UInt8Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(smooth() if image is None else image).save(buffer, kind, **options)
    return buffer.getvalue()


def reason(label: int | None, parts: dict[str, bytes], how: Admission) -> str:
    with pytest.raises(Rejected) as caught:
        admit("some/key", label, parts, how)
    assert caught.value.reason == str(caught.value)
    assert "\n" not in caught.value.reason
    assert "some/key" not in caught.value.reason
    return caught.value.reason


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which functions looked into a picture, call by call."""
    calls: list[str] = []

    def spied(name: str) -> object:
        true = getattr(wavemix.data.admit, name)

        def spy(content: bytes, **how: int) -> object:
            calls.append(name)
            return true(content, **how)

        return spy

    for name in ("decode_image", "decode_mask", "size_of"):
        monkeypatch.setattr(wavemix.data.admit, name, spied(name))
    return calls


MASK = encode_png((np.arange(2400, dtype=np.uint8) % 19).reshape(40, 60))
JPEG, PNG, WEBP = encoded("JPEG"), encoded("PNG"), encoded("WEBP")
LOW = {f"x{scale}": encode_png(smooth(40 // scale, 60 // scale)) for scale in (2, 3, 4)}


# --- what is kept ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(("content", "extension"), [(JPEG, "jpg"), (PNG, "png"), (WEBP, "webp")])
def test_jpeg_png_and_webp_stay_byte_for_byte(content: bytes, extension: str, check: bool) -> None:
    record = admit("a/b", 7, {"image": content}, replace(LABELLED, check=check))
    assert record == Record("a/b", {extension: content, "cls": b"7"})
    assert admit("a/b", None, {"image": content}, replace(PLAIN, check=check)).parts == {extension: content}


@pytest.mark.parametrize("check", [True, False])
def test_masks_and_pairs_stay_byte_for_byte(check: bool) -> None:
    record = admit("a", None, {"mask": MASK, "image": JPEG}, replace(MASKED, check=check))
    assert list(record.parts.items()) == [("jpg", JPEG), ("mask.png", MASK)]
    record = admit("a", None, {**LOW, "hr": PNG}, replace(PAIR, check=check))
    assert list(record.parts) == ["hr.png", "x2.png", "x3.png", "x4.png"]
    assert record.parts["x3.png"] == LOW["x3"]
    assert list(admit("a", None, {"hr": JPEG, "x4": LOW["x4"]}, replace(PAIR, check=check)).parts) == [
        "hr.jpg",
        "x4.png",
    ]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_stays_as_published(kind: str) -> None:
    frames = [Image.new("RGB", (16, 8), colour) for colour in ("red", "lime")]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    assert admit("a", None, {"image": buffer.getvalue()}, PLAIN).parts == {kind.lower(): buffer.getvalue()}


def test_roles_that_the_schema_has_not_are_left_out() -> None:
    assert admit("a", 3, {"image": JPEG, "mask": MASK, "x8": b""}, PLAIN).parts == {"jpg": JPEG}


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF", "PPM"])
def test_what_no_shard_can_hold_becomes_png(kind: str, check: bool) -> None:
    content = encoded(kind)
    record = admit("a", 1, {"image": content}, replace(LABELLED, check=check, jpeg_quality=90))
    assert list(record.parts) == ["png", "cls"]
    np.testing.assert_array_equal(decode_image(record.parts["png"]), decode_image(content))


@pytest.mark.parametrize("check", [True, False])
def test_a_mask_is_always_stored_as_png(check: bool) -> None:
    classes = decode_mask(MASK)
    record = admit("a", None, {"image": JPEG, "mask": encoded("BMP", classes)}, replace(MASKED, check=check))
    assert list(record.parts) == ["jpg", "mask.png"]
    np.testing.assert_array_equal(decode_mask(record.parts["mask.png"]), classes)


# --- what is checked ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "parts", "told"),
    [
        (PLAIN, {}, "image needs image; found nothing"),
        (LABELLED, {"picture": JPEG}, "labelled_image needs image; found picture"),
        (MASKED, {"image": JPEG}, "image_with_mask needs image and mask; found image"),
        (MASKED, {"mask": MASK}, "image_with_mask needs image and mask; found mask"),
        (PAIR, {"hr": PNG}, "image_pair needs hr and one of x2, x3, x4; found hr"),
        (PAIR, LOW, "image_pair needs hr and one of x2, x3, x4; found x2, x3, x4"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_every_part_must_be_there(how: Admission, parts: dict, told: str, check: bool) -> None:
    assert reason(1, parts, replace(how, check=check)) == told


@pytest.mark.parametrize(("label", "told"), [(10, "label 10 of 10 classes"), (-1, "label -1 of 10 classes")])
@pytest.mark.parametrize("check", [True, False])
def test_a_label_must_be_a_class(label: int, told: str, check: bool) -> None:
    assert reason(label, {"image": JPEG}, replace(LABELLED, check=check)) == told
    assert reason(None, {"image": JPEG}, replace(LABELLED, check=check)) == "label None of 10 classes"


def test_labels_are_plain_digits() -> None:
    assert admit("a", np.int64(9), {"image": JPEG}, LABELLED).parts["cls"] == b"9"  # type: ignore[arg-type]
    assert admit("a", True, {"image": JPEG}, LABELLED).parts["cls"] == b"1"


@pytest.mark.parametrize("check", [True, False])
def test_an_empty_picture_is_rejected_even_unchecked(check: bool) -> None:
    assert reason(1, {"image": b""}, replace(LABELLED, check=check)) == "image: empty"
    assert reason(1, {"image": JPEG, "mask": b""}, replace(MASKED, check=check)) == "mask: empty"
    assert reason(1, {"hr": PNG, "x2": b""}, replace(PAIR, check=check)) == "x2: empty"


@pytest.mark.parametrize("check", [True, False])
def test_what_is_no_picture_is_rejected_even_unchecked(check: bool) -> None:
    """It would have to be encoded anew, for which it is decoded."""
    assert reason(1, {"image": b"404"}, replace(LABELLED, check=check)) == "image: cannot be decoded: no picture"
    masked = replace(MASKED, check=check)
    assert reason(1, {"image": JPEG, "mask": JPEG}, masked).startswith("mask: cannot be decoded: a mask as JPEG")


def test_damage_is_found_by_the_check_alone() -> None:
    half = JPEG[:-40]
    assert reason(1, {"image": half}, LABELLED).startswith("image: cannot be decoded: cut off")
    assert admit("a", 1, {"image": half}, replace(LABELLED, check=False)).parts["jpg"] == half
    assert reason(1, {"image": PNG[: len(PNG) // 2]}, LABELLED).startswith("image: cannot be decoded: ")
    assert reason(1, {"image": JPEG, "mask": PNG}, MASKED).startswith("mask: cannot be decoded: a mask of mode RGB")
    assert reason(1, {"hr": PNG, "x2": half}, PAIR).startswith("x2: cannot be decoded: ")


def test_a_mask_must_fit_its_picture() -> None:
    small = encode_png(np.zeros((40, 59), np.uint8))
    assert reason(None, {"image": JPEG, "mask": small}, MASKED) == "mask: 59x40 pixels, and the picture 60x40"


def test_a_mask_holds_classes_and_255() -> None:
    classes = decode_mask(MASK).copy()
    classes[0, 0] = 255
    admit("a", None, {"image": JPEG, "mask": encode_png(classes)}, MASKED)
    admit("a", None, {"image": JPEG, "mask": encode_png(np.full((40, 60), 255, np.uint8))}, MASKED)
    classes[7, 7] = 31
    assert (
        reason(None, {"image": JPEG, "mask": encode_png(classes)}, MASKED)
        == "mask: found class 31, and the classes are 0 to 18; is it void?"
    )
    classes[7, 7] = 19
    assert (
        reason(None, {"image": JPEG, "mask": encode_png(classes)}, MASKED)
        == "mask: found class 19, and the classes are 0 to 18; is it void?"
    )
    admit("a", None, {"image": JPEG, "mask": encode_png(classes)}, replace(MASKED, check=False))


def test_a_pair_must_fit() -> None:
    assert reason(None, {"hr": PNG, "x2": LOW["x3"]}, PAIR) == "x2: 20x13 pixels, and hr 60x40"
    assert reason(None, {"hr": PNG, **LOW, "x4": LOW["x3"]}, PAIR) == "x4: 20x13 pixels, and hr 60x40"


def test_what_is_admitted_can_be_decoded_and_nothing_else() -> None:
    """The rule for pairs is that of ``ImagePair.decode``."""
    outcomes = set()
    for height, width, scale in itertools.product(range(20, 30), (24, 27), (2, 3, 4)):
        parts = {"hr": encode_png(smooth(height, width)), f"x{scale}": encode_png(smooth(24 // scale, 24 // scale))}
        try:
            ImagePair.decode(admit("a", None, parts, replace(PAIR, check=False)), scale=scale)
            fits = True
        except DataError:
            fits = False
        try:
            admit("a", None, parts, PAIR)
            admitted = True
        except Rejected:
            admitted = False
        assert admitted == fits, (height, width, scale)
        outcomes.add(fits)
    assert outcomes == {True, False}


# --- what it costs --------------------------------------------------------------------------------------------------


def test_without_a_check_nothing_is_looked_at(decoded: list[str]) -> None:
    admit("a", 1, {"image": JPEG}, replace(LABELLED, check=False))
    admit("a", None, {"image": PNG, "mask": MASK}, replace(MASKED, check=False))
    admit("a", None, {"hr": PNG, **LOW}, replace(PAIR, check=False))
    assert decoded == []


def test_a_picture_is_decoded_once(decoded: list[str]) -> None:
    admit("a", None, {"hr": PNG, **LOW}, PAIR)
    assert decoded == ["decode_image"] * 4
    decoded.clear()
    admit("a", None, {"image": encoded("BMP"), "mask": MASK}, replace(MASKED, shortest_side=20))
    assert sorted(decoded) == ["decode_image", "decode_mask", "size_of"]


def test_a_small_picture_costs_a_look_at_its_header(decoded: list[str]) -> None:
    admit("a", None, {"image": JPEG, "mask": MASK}, replace(MASKED, check=False, shortest_side=40))
    assert decoded == ["size_of"]


# --- what is made smaller -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("size", "shortest_side", "resized"),
    [
        ((40, 60), 20, (20, 30)),
        ((60, 40), 20, (30, 20)),
        ((41, 60), 20, (20, 29)),
        ((333, 500), 256, (256, 384)),
        ((40, 40), 39, (39, 39)),
        ((40, 1000), 1, (1, 25)),
    ],
)
def test_the_shorter_side_is_brought_down(size: tuple, shortest_side: int, resized: tuple, check: bool) -> None:
    how = replace(PLAIN, check=check, shortest_side=shortest_side)
    record = admit("a", None, {"image": encode_jpeg(smooth(*size), 95)}, how)
    assert PlainImage.decode(record).image.shape == (*resized, 3)


@pytest.mark.parametrize("shortest_side", [40, 41, 1000])
@pytest.mark.parametrize("content", [JPEG, PNG, WEBP])
def test_a_small_picture_stays_byte_for_byte(content: bytes, shortest_side: int) -> None:
    how = replace(LABELLED, shortest_side=shortest_side, jpeg_quality=50)
    assert content in admit("a", 1, {"image": content}, how).parts.values()


def test_resizing_is_antialiased_bicubic() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    record = admit("a", None, {"image": encode_png(image)}, replace(PLAIN, shortest_side=16))
    assert list(record.parts) == ["png"]
    oracle = np.asarray(Image.fromarray(image).resize((24, 16), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(PlainImage.decode(record).image, oracle)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_resized_pictures_are_jpeg_of_the_quality_asked_for(kind: str) -> None:
    parts = {"image": encoded(kind)}
    made = {
        quality: admit("a", 3, parts, replace(LABELLED, shortest_side=20, jpeg_quality=quality)) for quality in (50, 95)
    }
    assert [list(record.parts) for record in made.values()] == [["jpg", "cls"]] * 2
    assert len(made[50].parts["jpg"]) < len(made[95].parts["jpg"])
    oracle = Image.fromarray(decode_image(parts["image"])).resize((30, 20), Image.Resampling.BICUBIC)
    assert made[95].parts["jpg"] == encode_jpeg(np.asarray(oracle), 95)
    assert LabelledImage.decode(made[95]).label == 3


@pytest.mark.parametrize("jpeg_quality", [90, None])
def test_a_mask_follows_its_picture(jpeg_quality: int | None) -> None:
    classes = np.repeat(np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3) * 3, 20, axis=0), 20, axis=1)
    classes[0, :] = 255
    parts = {"image": JPEG, "mask": encode_png(classes)}
    record = admit("a", None, parts, replace(MASKED, check=False, shortest_side=21, jpeg_quality=jpeg_quality))
    assert list(record.parts) == ["png" if jpeg_quality is None else "jpg", "mask.png"]
    sample = MaskedImage.decode(record)
    assert sample.mask.shape == (21, 32)
    assert set(np.unique(sample.mask)) <= set(np.unique(classes))
    oracle = np.asarray(Image.fromarray(classes).resize((32, 21), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(sample.mask, oracle)


def test_resizing_mends_no_mask_that_does_not_fit() -> None:
    how = replace(MASKED, check=False, shortest_side=20)
    small = encode_png(np.zeros((20, 30), np.uint8))
    assert reason(None, {"image": JPEG, "mask": small}, how) == "mask: 30x20 pixels, and the picture 60x40"


def test_resizing_finds_damage() -> None:
    how = replace(PLAIN, check=False, shortest_side=20)
    assert reason(None, {"image": JPEG[:-40]}, how).startswith("image: cannot be decoded: cut off")
    assert reason(None, {"image": b"\xff\xd8\xff"}, how).startswith("image: cannot be decoded: ")


def test_a_callers_mistake() -> None:
    with pytest.raises(ValueError, match="shortest_side: the two of an image_pair"):
        replace(PAIR, shortest_side=256)
    with pytest.raises(ValueError, match=f"schema 'video'; there are {', '.join(SCHEMAS)}"):
        replace(PLAIN, schema="video")


def test_checking_at_a_part_of_the_size_finds_the_damage_that_decoding_the_whole_finds() -> None:
    """Changed bytes, cuts and zeroed runs in a JPEG: the check and a full decoding agree on every one."""
    generator = np.random.default_rng(0)
    buffer = io.BytesIO()
    Image.fromarray(generator.integers(0, 256, (64, 96, 3), dtype=np.uint8)).save(buffer, "JPEG", quality=80)
    whole = buffer.getvalue()
    verdicts = []
    for number in range(300):
        damaged = bytearray(whole)
        at = int(generator.integers(2, len(whole)))
        if number % 3 == 0:
            damaged[at] ^= 1 << int(generator.integers(8))
        elif number % 3 == 1:
            damaged = damaged[:at]
        else:
            damaged[at : at + 200] = bytes(len(damaged[at : at + 200]))
        seen = []
        for decode in (lambda content: admit("a", 0, {"image": content}, LABELLED), decode_image):
            try:
                decode(bytes(damaged))
                seen.append(True)
            except (Rejected, ValueError):
                seen.append(False)
        verdicts.append(seen)
    assert [one for one in verdicts if one[0] != one[1]] == []
    assert 50 < sum(one[0] for one in verdicts) < 250
