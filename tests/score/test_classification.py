"""Folders for classification: a model's classes, and tables of scores that other programs wrote."""

import re
from pathlib import Path

import pytest

from factories.pack import as_folder, noise

TREE = {f"{kind}/{number}.png": noise(number) for number, kind in enumerate(("cat", "cow", "cow", "dog"))}
TABLE = "name,cat,dog,cow\ncat/0.png,9,1,0\ncow/1.png,0.5,0,0.4\ncow/2.png,-3,-2,-1\ndog/3.png,0,1e3,7\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return as_folder(tmp_path / "animals", TREE)


def table(tmp_path: Path, text: str) -> Path:
    (tmp_path / "scores.csv").write_text(text)
    return tmp_path / "scores.csv"


def test_a_table_has_the_score_that_is_counted_by_hand(scored, folder: Path, tmp_path: Path) -> None:
    found = scored("classification", "--predictions", table(tmp_path, TABLE), folder)
    assert found["metrics"] == {"top1": 0.75, "top5": 1.0}
    assert (found["protocol"], found["data"]["samples"]) == ({}, 4)


def test_the_order_of_rows_and_columns_does_not_matter(scored, folder: Path, tmp_path: Path) -> None:
    first = scored("classification", "--predictions", table(tmp_path, TABLE), folder)
    header, *rows = (line.split(",") for line in TABLE.split())
    turned = [[name, *reversed(scores)] for name, *scores in (header, *reversed(rows))]
    text = "\n".join(map(",".join, turned))
    assert scored("classification", "--predictions", table(tmp_path, text), folder)["metrics"] == first["metrics"]


def test_a_model_knows_its_classes(scored, trained, folder: Path) -> None:
    model = trained("classification")  # whose classes are in another order than the folders
    found = scored("classification", "--model", model, folder)
    assert set(found["metrics"]) == {"top1", "top5", "loss"}
    assert found["metrics"]["top5"] == 1.0


def test_a_model_of_other_classes_is_refused(told, trained, folder: Path) -> None:
    error = told("classification", "--model", trained("classification", ("cat", "dog", "hen")), folder)
    assert re.search("animals has classes that who answers has not: cow$", error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as CSV"),
        ("name,class\ncat/0.png,cat\n", "found the header 'name,class', needed is name,<class>,<class>"),
        (TABLE.replace("name,cat", "path,cat"), "found the header 'path,cat,dog,cow'"),
        (TABLE.replace("name,cat", "name,dog"), "found the header 'name,dog,dog,cow'"),
        (TABLE.replace("9,1,0", "9,1"), "line 2: found 2 scores of 3 classes"),
        (TABLE + "cat/0.png,0,0,0\n", "line 6: cat/0.png is there twice"),
        (TABLE.replace("9,1,0", "9,1,x"), "the answer to cat/0 cannot be scored"),
        (TABLE.replace("9,1,0", "9,1,nan"), "the answer to cat/0 cannot be scored: 9, 1, nan are not all finite"),
        (TABLE.replace("dog/3.png", "dog/4.png"), "no answer in .* to dog/3; answers"),
        (TABLE + "dog/4.png,0,0,0\n", "no sample in .* for dog/4; answers"),
        (TABLE.replace("cow", "hen"), "has classes that who answers has not: cow"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_clear_error(told, folder: Path, tmp_path: Path, text: str, message) -> None:
    error = told("classification", "--predictions", table(tmp_path, text), folder)
    assert re.search(message, error), error
    assert error.startswith("error: ")


def test_a_picture_in_no_class_is_told(told, folder: Path, tmp_path: Path) -> None:
    as_folder(folder, {"lonely.png": noise()})
    assert "has the picture lonely outside of any class" in told(
        "classification", "--predictions", table(tmp_path, TABLE), folder
    )
