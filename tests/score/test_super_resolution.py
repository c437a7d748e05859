"""Folders for super-resolution: the literature's numbers, one score in every layout, and answers of other programs."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from factories.pack import Tree, as_folder, noise, picture
from wavemix.data.decode import decode_image, encode_png
from wavemix.data.resize import imresize

REFERENCE = Path(os.environ.get("WAVEMIX_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))
BICUBIC = ("super_resolution", "--scale", 2, "--method", "bicubic")

HIGH = {name: noise(seed, (36, 24)) for seed, name in enumerate(("baby", "bird"))}
LOW = {name: encode_png(imresize(decode_image(high), 1 / 2)) for name, high in HIGH.items()}
LAYOUTS: Mapping[str, Tree] = {
    "EDSR": {
        **{f"HR/{name}.png": high for name, high in HIGH.items()},
        **{f"LR_bicubic/X2/{name}x2.png": low for name, low in LOW.items()},
    },
    "BasicSR": {
        **{f"GTmod12/{name}.png": high for name, high in HIGH.items()},
        **{f"LRbicx2/{name}.png": low for name, low in LOW.items()},
    },
    "SelfExSR": {
        **{f"image_SRF_2/{name}_SRF_2_HR.png": high for name, high in HIGH.items()},
        **{f"image_SRF_2/{name}_SRF_2_LR.png": low for name, low in LOW.items()},
    },
    "high resolutions alone": {f"{name}.png": high for name, high in HIGH.items()},
}


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    return as_folder(tmp_path / "MySet", LAYOUTS["EDSR"])


@pytest.mark.skipif(not (REFERENCE / "sr_benchmarks").is_dir(), reason="WAVEMIX_REFERENCE_DATA has no sr_benchmarks/")
@pytest.mark.parametrize(
    ("name", "scale", "psnr_y", "ssim_y"),
    [
        ("Set5", 2, 33.66, 0.9299),
        ("Set5", 3, 30.39, 0.8682),
        ("Set5", 4, 28.42, 0.8104),
        ("Set14", 2, 30.24, 0.8688),
        ("Set14", 3, 27.55, 0.7742),
        ("Set14", 4, 26.00, 0.7027),
    ],
)
def test_bicubic_has_the_numbers_of_the_literature(scored, name: str, scale: int, psnr_y: float, ssim_y: float) -> None:
    folder = REFERENCE / "sr_benchmarks" / name
    found = scored("super_resolution", "--scale", scale, "--method", "bicubic", folder)
    assert found["metrics"]["psnr_y"] == pytest.approx(psnr_y, abs=0.03)
    assert found["metrics"]["ssim_y"] == pytest.approx(ssim_y, abs=0.0015)
    assert (found["data"]["folder"], found["data"]["samples"]) == (name, {"Set5": 5, "Set14": 14}[name])


def test_every_layout_has_the_same_scores_and_the_same_digest(scored, tmp_path: Path) -> None:
    found = {layout: scored(*BICUBIC, as_folder(tmp_path / layout / "a", tree)) for layout, tree in LAYOUTS.items()}
    first = found["EDSR"]
    assert first["task"] == "super_resolution"
    assert first["protocol"] == {"scale": 2}
    assert first["method"] == "bicubic"
    assert set(first) == {"task", "protocol", "data", "method", "metrics"}
    assert all(one == first for one in found.values())
    changed = {**LAYOUTS["EDSR"], "LR_bicubic/X2/birdx2.png": noise(7, (18, 12))}
    assert scored(*BICUBIC, as_folder(tmp_path / "b", changed))["data"]["sha256"] != first["data"]["sha256"]


def test_the_truth_as_the_answer_is_perfect_and_the_baseline_stands_beside_it(scored, benchmark: Path) -> None:
    metrics = scored("super_resolution", "--scale", 2, "--predictions", benchmark / "HR", benchmark)["metrics"]
    assert metrics["ssim_y"] == pytest.approx(1, abs=1e-9)
    assert metrics["psnr_y"] is None  # infinite
    assert metrics["psnr_y_bicubic"] == scored(*BICUBIC, benchmark)["metrics"]["psnr_y"]


def test_saved_answers_score_as_those_they_were(scored, benchmark: Path, tmp_path: Path) -> None:
    method = scored(*BICUBIC, "--save", tmp_path / "answers", benchmark)["metrics"]
    assert sorted(path.name for path in (tmp_path / "answers").iterdir()) == ["baby.png", "bird.png"]
    assert decode_image((tmp_path / "answers/baby.png").read_bytes()).shape == (24, 36, 3)
    files = scored("super_resolution", "--scale", 2, "--predictions", tmp_path / "answers", benchmark)["metrics"]
    for name in ("psnr_y", "ssim_y"):  # the authors' are taken before rounding to 8 bits
        assert files[name] == pytest.approx(method[name], rel=1e-9)


def test_a_model_is_scored_in_all_its_ways_beside_the_baseline(scored, trained, benchmark: Path) -> None:
    model = trained("super_resolution")
    found = scored("super_resolution", "--model", model, benchmark)
    assert (found["model"], found["protocol"]) == (str(model), {"scale": 2})
    assert {"psnr_y", "psnr_y_bicubic", "psnr_y_x8", "loss"} <= set(found["metrics"])
    assert found["metrics"]["psnr_y"] != found["metrics"]["psnr_y_bicubic"]
    assert scored("super_resolution", "--model", model, "--scale", 2, benchmark) == found


def test_sides_that_are_no_multiples_of_the_scale_are_cropped(scored, tmp_path: Path) -> None:
    odd, even = noise(0, (37, 25)), decode_image(noise(0, (37, 25)))[:24, :36]
    found = [
        scored(*BICUBIC, as_folder(tmp_path / str(number) / "set", {"a.png": high}))["metrics"]
        for number, high in enumerate((odd, encode_png(np.ascontiguousarray(even))))
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "no picture in "),
        ({"README.txt": b""}, "no picture in "),
        (LAYOUTS["SelfExSR"] | {"image_SRF_2/x_SRF_2_HR.png": noise(0, (36, 24))}, "x_SRF_2_HR.png has no image_SRF_2"),
        (
            {f"image_SRF_3/{name}_SRF_3_HR.png": high for name, high in HIGH.items()},
            "looked for HR/.* found image_SRF_3",
        ),
        ({"a.png": HIGH["baby"], "LR/a.png": LOW["baby"]}, "or for pictures in no folder, in .*, found LR/a.png"),
        ({**LAYOUTS["EDSR"], "LR_bicubic/X2/birdx2.png": noise(0, (12, 12))}, "bird: x2: 12x12 pixels, and hr 36x24"),
        ({**LAYOUTS["EDSR"], "LR_bicubic/X2/birdx2.png": b"damaged"}, "bird: x2: cannot be decoded: no picture"),
        ({"a.png": HIGH["baby"], "b.png": HIGH["baby"][:200]}, "b: hr: cannot be decoded"),
        ({"a.png": HIGH["baby"], "b.png": picture(1, (14, 14))}, "b: SSIM needs 11x11 pixels within the border"),
    ],
    ids=["empty", "no picture", "no low", "another scale", "unclear", "wrong size", "damaged", "cut off", "too small"],
)
def test_what_is_wrong_with_a_folder_is_one_clear_error(told, tmp_path: Path, tree: Tree, message: str) -> None:
    (tmp_path / "set").mkdir()
    error = told(*BICUBIC, as_folder(tmp_path / "set", tree))
    assert error.startswith("error: ")
    assert error.count("\n") <= 2
    assert re.search(message, error), error


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"baby": HIGH["baby"]}, "no answer in .* to bird; answers have the names of the samples"),
        ({**HIGH, "head": noise()}, "no sample in .* for head; answers have"),
        ({**HIGH, "bird": LOW["bird"]}, "the answer to bird cannot be scored: it has 18x12 pixels, the sample 36x24"),
        ({**HIGH, "bird": b"damaged"}, "the answer to bird cannot be scored: no picture"),
    ],
    ids=["missing", "too many", "wrong size", "damaged"],
)
def test_what_is_wrong_with_answers_is_one_clear_error(
    told, benchmark: Path, tmp_path: Path, answers: Tree, message: str
) -> None:
    folder = as_folder(tmp_path / "answers", {f"{name}.png": content for name, content in answers.items()})
    assert re.search(message, told("super_resolution", "--scale", 2, "--predictions", folder, benchmark))


def test_a_folder_without_a_scale_and_a_model_of_another_one_are_told(told, trained, benchmark: Path) -> None:
    assert "give --scale: 2, 3 or 4" in told("super_resolution", "--method", "bicubic", benchmark)
    model = trained("super_resolution")
    error = told("super_resolution", "--model", model, "--scale", 3, benchmark)
    assert error == "error: the model was trained for scale 2, and 3 is asked for"
