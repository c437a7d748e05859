"""What holds for folders of every task: the pipeline's scores, the form of what is printed, and clear errors."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from factories.pack import Tree, as_folder, noise
from factories.pictures import mask
from wavemix.data import Options, make_plan, read_source, write_shards
from wavemix.data.raw import RawFolder
from wavemix.score.command import FORMS
from wavemix.score.folder import KINDS
from wavemix.tasks import TASKS
from wavemix.training.scoring import score
from wavemix.training.trained import load_trained

SOME = {f"{kind}/{number}.png": noise(number, (24, 32)) for number, kind in enumerate(("cat", "dog", "cow"))}
MASKED = {
    **{f"images/{number}.png": noise(number, (24, 32)) for number in range(3)},
    **{f"masks/{number}.png": mask([[number] * 24] * 31 + [[255] * 24]) for number in range(3)},
}
PAIRS = {
    **{f"HR/{number}.png": noise(number, (24, 32)) for number in range(3)},
    **{f"LR_bicubic/X2/{number}x2.png": noise(number, (12, 16)) for number in range(3)},
}

# By task: what lies in the user's folder, the part of it that is scored, and how the pipeline would read and split it.
SETS: Mapping[str, tuple[Tree, str, str, dict[str, Any]]] = {
    "classification": (
        {f"{split}/{path}": content for split in ("train", "val") for path, content in SOME.items()},
        "val",
        "val",
        {"name": "image_folder", "val_fraction": 0.0, "seed": 0},
    ),
    "inpainting": (
        {path.replace("/", "-"): content for path, content in SOME.items()},
        "",
        "train",
        {"name": "flat_folder", "val_fraction": 0.0, "test_fraction": 0.0, "seed": 0},
    ),
    "segmentation": (
        {f"{split}/{path}": content for split in ("train", "val") for path, content in MASKED.items()},
        "val",
        "val",
        {"name": "mask_folder", "classes": ("cat", "dog", "cow"), "void": ()},
    ),
    "super_resolution": (
        {f"Set5/{path}": content for path, content in PAIRS.items()},
        "Set5",
        "test",
        {"name": "sr_benchmark", "benchmark": "Set5", "scales": (2,), "low": "published"},
    ),
}


def test_every_task_has_its_folders_and_its_command() -> None:
    assert set(KINDS) == set(FORMS) == set(TASKS) == set(SETS)
    assert all(", ".join(KINDS[name].baselines) == form.methods for name, form in FORMS.items())


@pytest.mark.parametrize("name", sorted(SETS))
def test_a_folder_has_the_scores_that_the_pipeline_finds_in_its_shards(
    scored, trained, tmp_path: Path, name: str
) -> None:
    tree, part, split, source = SETS[name]
    classes = ("cat", "cow", "dog") if name == "classification" else None  # as folders are sorted
    folder, model = as_folder(tmp_path / "raw", tree), trained(name, classes)
    raw = read_source(**source, root=RawFolder(folder, tmp_path))
    plan = make_plan(raw, name="raw", source={}, options=Options(samples_per_shard=2), subset=True)
    manifest = write_shards(plan, tmp_path / "shards")
    pipeline = score(load_trained(model), manifest, tmp_path / "out", split=split, other_data=True, batch_size=2)
    found = scored(name, "--model", model, folder / part)
    assert found["metrics"] == pytest.approx(pipeline, rel=1e-5, nan_ok=True)
    assert found["data"]["samples"] == 3


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return as_folder(tmp_path / "mine", {f"{number}.png": noise(number, (30, 26)) for number in range(2)})


def test_a_table_has_the_scores_and_what_their_names_mean(run, pictures: Path) -> None:
    lines = run("super_resolution", "--scale", 2, "--method", "bicubic", pictures).splitlines()
    assert lines[0] == "mine: super_resolution, scale 2, 2 samples, method bicubic"
    assert re.fullmatch(r"psnr_y +\d+\.\d\d.dB", lines[1])
    assert any(line.startswith("psnr_y: peak signal-to-noise ratio of the luma Y") for line in lines)
    assert max(map(len, lines)) <= 120


def test_the_folder_at_hand_is_called_by_its_name(scored, tmp_path: Path) -> None:
    as_folder(tmp_path, {"0.png": noise(0, (30, 26))})
    found = scored("super_resolution", "--scale", 2, "--method", "bicubic", ".")  # which is tmp_path
    assert found["data"]["folder"] == tmp_path.name


def test_no_answer_is_saved_unasked_and_none_of_the_baseline(scored, pictures: Path, tmp_path: Path) -> None:
    answers = as_folder(tmp_path / "answers", {f"{number}.png": noise(9, (30, 26)) for number in range(2)})
    asked = ("super_resolution", "--scale", 2, "--predictions", answers)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    scored(*asked, pictures)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before
    scored(*asked, "--save", tmp_path / "saved", pictures)
    for number in range(2):
        given, saved = (np.asarray(Image.open(tmp_path / where / f"{number}.png")) for where in ("answers", "saved"))
        np.testing.assert_array_equal(given, saved)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("super_resolution", "--scale", 2, "--method", "bicubic", "nowhere"), "^error: nowhere: no such folder$"),
        (
            ("super_resolution", "--scale", 2, "--method", "nearest", "."),
            "^error: super_resolution has no method 'nearest'; without a model there is bicubic$",
        ),
        (
            ("super_resolution", "--scale", 2, "--method", "x8", "."),
            "^error: super_resolution has no method 'x8'; without a model there is bicubic$",
        ),
        (("super_resolution", "--scale", 2, "--predictions", "nowhere", "."), "^error: nowhere: no such folder$"),
        (("super_resolution", "--model", "nowhere", "."), "^error: nowhere/model.json: no such file; "),
        (("super_resolution", "--scale", 5, "--method", "bicubic", "."), "argument --scale: invalid choice: '?5"),
        (
            ("super_resolution", "--scale", 2, "--method", "bicubic", "--model", "m", "."),
            "argument --model: not allowed with argument --method",
        ),
        (("super_resolution", "--scale", 2, "."), "one of the arguments --model --method --predictions is required"),
        (("colouring", "--model", "m", "."), "argument TASK: invalid choice: 'colouring'"),
        (("classification", "--method", "bicubic", "."), "one of the arguments --model --predictions is required"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_one_clear_error(
    told, pictures: Path, arguments: tuple[object, ...], message: str
) -> None:
    error = told(*(pictures if one == "." else one for one in arguments))
    assert re.search(message, error), error


def test_a_model_for_another_task_is_refused(told, trained, pictures: Path) -> None:
    error = told("super_resolution", "--model", trained("inpainting"), pictures)
    assert error.endswith("model: a model for inpainting, not for super_resolution")
