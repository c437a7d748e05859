"""Folders for inpainting: LaMa's pictures and masks, masks that are drawn, and answers of other programs."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from factories.pack import Tree, as_folder, noise, picture
from factories.pictures import mask
from wavemix.data.decode import decode_image, encode_png
from wavemix.data.masks import eval_mask

SIDES = (20, 16)
LEFT_HALF = mask([[255] * 10 + [0] * 10] * 16)
CORNER = mask([[1] * 5 + [0] * 15] * 4 + [[0] * 20] * 12)
LAMA = {
    "a_crop000.png": picture(100, SIDES, kind="PNG"),
    "a_crop000_mask000.png": LEFT_HALF,
    "a_crop000_mask001.png": CORNER,
    "town/b.v1.jpg": picture(200, SIDES),
    "town/b.v1_mask000.png": CORNER,
}
DRAWN = ("inpainting", "--masks", "thick", "--size", 64)


@pytest.fixture
def lama(tmp_path: Path) -> Path:
    return as_folder(tmp_path / "lama", LAMA)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    return as_folder(tmp_path / "flat", {"x.png": noise(0, (80, 64)), "town/y.png": noise(1, (64, 70))})


def test_each_mask_is_a_sample_under_its_own_name_as_lama_has_it(scored, lama: Path, tmp_path: Path) -> None:
    gone = {"a_crop000_mask000.png": 100, "a_crop000_mask001.png": 100, "town/b.v1_mask000.png": 149}
    answers = as_folder(tmp_path / "answers", {name: picture(grey, SIDES, kind="PNG") for name, grey in gone.items()})
    found = scored("inpainting", "--predictions", answers, lama)
    assert (found["protocol"], found["data"]["samples"]) == ({"masks": "given"}, 3)
    metrics = found["metrics"]
    assert metrics["l1_hole"] == pytest.approx(51 / 255 / 3)
    assert metrics["l1_hole_0_10"] == pytest.approx(51 / 255 / 2)  # of the corners, which are a sixteenth
    assert metrics["psnr"] is None  # two of them are perfect
    assert metrics["psnr_0_10"] is None
    assert metrics["l1_hole_mean_fill"] == pytest.approx(0, abs=1e-6)  # the pictures are of one colour


def test_the_mean_fill_is_the_error_that_is_counted_by_hand(scored, tmp_path: Path) -> None:
    halves = np.zeros((16, 20, 3), np.uint8)
    halves[:, 10:] = 102
    tree = {"a.png": encode_png(halves), "a_mask000.png": LEFT_HALF}
    found = scored("inpainting", "--method", "mean_fill", "--save", tmp_path / "out", as_folder(tmp_path / "set", tree))
    assert found["metrics"]["l1_hole"] == pytest.approx(102 / 255)
    assert found["metrics"]["psnr"] == pytest.approx(10 * math.log10(255**2 / (102**2 / 2)))
    np.testing.assert_array_equal(decode_image((tmp_path / "out/a_mask000.png").read_bytes()), 102)


def test_drawn_masks_are_those_of_the_protocol(scored, flat: Path, tmp_path: Path) -> None:
    found = scored(*DRAWN, "--method", "mean_fill", "--save", tmp_path / "out", flat)
    assert found["protocol"] == {"masks": "thick", "mask_seed": 0, "size": 64}
    saved = decode_image((tmp_path / "out/x.png").read_bytes())
    truth = decode_image((flat / "x.png").read_bytes())[:, 8:72]
    hole = eval_mask("thick", 64, seed=0, key="x")
    np.testing.assert_array_equal(saved[~hole], truth[~hole])
    assert (saved[hole] == saved[hole][0]).all()
    again = scored(*DRAWN, "--predictions", tmp_path / "out", flat)
    assert {name: again["metrics"][name] for name in found["metrics"]} == pytest.approx(found["metrics"], abs=0.01)
    thin = scored("inpainting", "--masks", "thin", "--size", 64, "--method", "mean_fill", flat)
    assert thin["metrics"]["masks_digest"] != found["metrics"]["masks_digest"]


def test_a_model_is_scored_on_the_masks_of_its_own_or_on_others(scored, trained, flat: Path, lama: Path) -> None:
    model = trained("inpainting")
    own = scored("inpainting", "--model", model, flat)
    assert own["protocol"] == {"masks": "medium", "mask_seed": 0, "size": 16}
    assert {"l1_hole", "l1_hole_mean_fill", "loss"} <= set(own["metrics"])
    assert scored("inpainting", "--model", model, "--masks", "thick", flat)["protocol"]["masks"] == "thick"
    assert scored("inpainting", "--model", model, lama)["protocol"] == {"masks": "given"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"c.png": picture()}, "the picture c.png has no mask c_mask000.png"),
        ({"d_mask000.png": CORNER}, r"the mask d_mask000.png has no picture d\.\*"),
        ({"a_crop000_mask001.png": mask([[1]])}, "a_crop000_mask001: mask: 1x1 pixels, and the picture 20x16"),
        (
            {"a_crop000_mask001.png": picture(0, SIDES, kind="PNG")},
            "a_crop000_mask001: mask: cannot be decoded: a mask of",
        ),
        ({"a_crop000.png": b"damaged"}, "a_crop000_mask000: image: cannot be decoded: no picture"),
    ],
    ids=["no mask", "no picture", "wrong size", "mask of colours", "damaged"],
)
def test_what_is_wrong_with_a_folder_is_one_clear_error(told, tmp_path: Path, changed: Tree, message: str) -> None:
    folder = as_folder(tmp_path / "wrong", {**LAMA, **changed})
    error = told("inpainting", "--method", "mean_fill", folder)
    assert re.search(message, error), error


def test_masks_are_said_where_none_are_given_and_only_there(told, flat: Path, lama: Path) -> None:
    assert "say what to draw with --masks: thin, medium or thick" in told("inpainting", "--method", "mean_fill", flat)
    assert "leave --masks and --size out" in told(*DRAWN, "--method", "mean_fill", lama)
    assert "'32' is no whole number from 64 on" in told("inpainting", "--size", 32, "--method", "mean_fill", flat)


def test_perceptual_distances_without_their_weights_are_told(told, flat: Path, tmp_path: Path) -> None:
    error = told(*DRAWN, "--method", "mean_fill", "--weights", tmp_path, flat)
    assert error.startswith("error: ")
    assert error.count("\n") <= 2
