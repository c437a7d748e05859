"""Folders for segmentation: scores by hand, numbers as files have them, and what is void."""

import re
from pathlib import Path

import numpy as np
import pytest

from factories.pack import Tree, as_folder, noise, picture
from factories.pictures import LABEL_IDS, cityscapes, mask
from wavemix.data.decode import decode_mask
from wavemix.data.sources.cityscapes import CLASSES

TREE = {
    "images/a.jpg": picture(1, (4, 2)),
    "images/town/b.png": picture(2, (2, 1), kind="PNG"),
    "masks/a.png": mask([[0, 0, 1, 1], [255, 0, 1, 11]]),
    "masks/town/b.png": mask([[2, 2]]),
}
ANSWERS = {"a.png": mask([[0, 1, 1, 1], [0, 0, 1, 2]]), "town/b.png": mask([[2, 0]])}
IOU = (2 / 4, 3 / 4, 1 / 2)  # of sky: one pixel lost to road, one taken from car


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return as_folder(tmp_path / "mine", TREE)


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\n")
    return tmp_path / "classes.txt"


@pytest.fixture
def named(classes: Path) -> tuple[object, ...]:
    return ("segmentation", "--classes", classes, "--void", 11)


def test_answers_have_the_score_that_is_counted_by_hand(scored, named, folder: Path, tmp_path: Path) -> None:
    found = scored(*named, "--predictions", as_folder(tmp_path / "answers", ANSWERS), folder)
    assert found["metrics"] == {"miou": pytest.approx(np.mean(IOU)), "pixel_accuracy": pytest.approx(6 / 8)}
    assert (found["protocol"], found["data"]["samples"]) == ({"void": [11]}, 2)


def test_the_truth_as_the_answer_is_perfect(scored, classes: Path, tmp_path: Path) -> None:
    tree = {**TREE, "masks/a.png": mask([[0, 0, 1, 1], [2, 0, 1, 2]])}
    folder = as_folder(tmp_path / "whole", tree)
    found = scored("segmentation", "--classes", classes, "--predictions", folder / "masks", folder)
    assert found["metrics"] == {"miou": 1.0, "pixel_accuracy": 1.0}
    assert found["protocol"] == {}


def test_cityscapes_is_scored_on_val_by_label_ids(scored, told, tmp_path: Path) -> None:
    tree = {path: content for path, content in cityscapes().items() if "/train/" not in path}
    key = "frankfurt/frankfurt_000000_000294"
    folder = as_folder(tmp_path / "cityscapes", tree)
    # Of 7, 8, 11 and 33, 26, 28 one is mistaken; what is void in LABEL_IDS counts nowhere.
    right = np.array(LABEL_IDS)
    answer = np.where(np.isin(right, list(CLASSES)), right, 7)
    answer[0, 1] = 8
    answers = as_folder(tmp_path / "answers", {f"{key}.png": mask(answer.tolist())})
    metrics = scored("segmentation", "--predictions", answers, folder)["metrics"]
    counted = int(np.isin(right, list(CLASSES)).sum())
    assert metrics["pixel_accuracy"] == pytest.approx((counted - 1) / counted)
    assert metrics["miou"] == pytest.approx(
        (counted - 2 + 0.5) / counted
    )  # of 7 nothing, of 8 a half, of all others all
    unknown = as_folder(tmp_path / "unknown", {f"{key}.png": mask(LABEL_IDS)})
    assert re.search(
        f"{key}: the answer has the number 0, which is none", told("segmentation", "--predictions", unknown, folder)
    )
    assert "leave --void out" in told("segmentation", "--predictions", answers, "--void", 7, folder)


def test_a_models_answers_are_saved_by_label_ids_and_score_the_same_again(scored, trained, tmp_path: Path) -> None:
    tree = {path: content for path, content in cityscapes().items() if "/val/" in path}
    model, folder = trained("segmentation", tuple(CLASSES.values())), as_folder(tmp_path / "cityscapes", tree)
    found = scored("segmentation", "--model", model, "--save", tmp_path / "answers", folder)
    assert {"miou", "miou_flip", "miou_sliding", "miou_ms_flip", "miou_authors", "loss"} <= set(found["metrics"])
    saved = decode_mask((tmp_path / "answers/frankfurt/frankfurt_000000_000294.png").read_bytes())
    assert set(np.unique(saved).tolist()) <= set(CLASSES)
    again = scored("segmentation", "--predictions", tmp_path / "answers", folder)
    assert {name: found["metrics"][name] for name in again["metrics"]} == again["metrics"]


def test_a_model_knows_the_classes_of_ones_own_masks(scored, told, trained, folder: Path, classes: Path) -> None:
    model = trained("segmentation", ("sky", "road", "car"))
    assert scored("segmentation", "--model", model, "--void", 11, folder)["data"]["samples"] == 2
    classes.write_text("road\nsky\ncar\n")
    error = told("segmentation", "--model", model, "--void", 11, "--classes", classes, folder)
    assert error == "error: the model was trained for the classes sky, road, car, and road, sky, car is asked for"


def test_a_model_of_other_classes_than_cityscapes_is_refused(told, trained, tmp_path: Path) -> None:
    folder = as_folder(tmp_path / "cityscapes", cityscapes())
    error = told("segmentation", "--model", trained("segmentation"), folder)
    assert error.startswith("error: the model was trained for the classes cat, dog, cow, and road, sidewalk, ")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images/c.png": noise()}, "images/c.png has none of its name in .*/masks$"),
        ({"masks/a.png": mask([[0, 1]])}, "a: mask: 2x1 pixels, and the picture 4x2"),
        ({"masks/a.png": mask([[0, 3, 0, 0]] * 2)}, "a: mask: found class 3, and the classes are 0 to 2; is it void?"),
        ({"masks/a.png": b"damaged"}, "a: mask: cannot be decoded: no picture"),
        ({"images/a.jpg": b"damaged"}, "a: image: cannot be decoded: no picture"),
    ],
    ids=["no mask", "wrong size", "no such class", "damaged mask", "damaged picture"],
)
def test_what_is_wrong_with_a_folder_is_one_clear_error(
    told, named, tmp_path: Path, changed: Tree, message: str
) -> None:
    folder = as_folder(tmp_path / "wrong", {**TREE, **changed})
    error = told(*named, "--predictions", as_folder(tmp_path / "answers", ANSWERS), folder)
    assert re.search(message, error), error


@pytest.mark.parametrize("names", ["sky\n", "sky\n\ncar\n", "sky\ncar\nsky\n"])
def test_a_file_of_classes_that_is_none_is_told(told, folder: Path, tmp_path: Path, names: str) -> None:
    (tmp_path / "names.txt").write_text(names)
    error = told("segmentation", "--classes", tmp_path / "names.txt", "--predictions", folder / "masks", folder)
    assert "needed is the name of a class in each line" in error


def test_a_folder_in_no_layout_and_masks_without_names_are_told(told, folder: Path, tmp_path: Path) -> None:
    assert "name them with --classes FILE" in told("segmentation", "--predictions", folder / "masks", folder)
    error = told("segmentation", "--predictions", folder / "masks", as_folder(tmp_path / "x", {"y.png": noise()}))
    assert "looked for images/ beside masks/ or leftImg8bit or leftImg8bit_trainvaltest.zip in " in error
