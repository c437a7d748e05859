"""iNaturalist 2021 mini, packed and unpacked: the same pictures, species and order, or one clear error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from factories import large
from factories.pack import Tree
from factories.reading import Reader, contents_of, reader
from wavemix.data.sources import inaturalist
from wavemix.errors import DataError

WORM, FAN = large.SPECIES


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return reader(inaturalist.read, tmp_path, subset=False)


def tree() -> dict[str, bytes]:
    return {**large.inaturalist("train_mini"), **large.inaturalist("val")}


def edited(name: str, edit: Callable[[dict[str, Any]], object]) -> dict[str, bytes]:
    """The tree with a change in one of its JSON files."""
    listed = json.loads(tree()[name])
    edit(listed)
    return {**tree(), name: json.dumps(listed).encode()}


def test_the_archives_have_what_the_tree_has(read: Reader) -> None:
    packed, unpacked = read(large.inaturalist_archives()), read(tree(), name="tree")
    assert (packed.schema, packed.expected) == ("labelled_image", {"train": 500_000, "val": 100_000})
    assert packed.classes == large.SPECIES
    assert [(item.key, item.label) for item in packed.items["train"]] == [
        (f"{WORM}/tb57f1", 0),
        (f"{WORM}/tb57f2", 0),
        (f"{FAN}/tb57f1", 1),
        (f"{FAN}/tb57f2", 1),
    ]
    assert [item.label for item in packed.items["val"]] == [0, 0, 1, 1]
    assert packed.classes == unpacked.classes
    assert contents_of(packed) == contents_of(unpacked)
    assert packed.fingerprint == unpacked.fingerprint


def test_labels_are_those_of_the_json(read: Reader) -> None:
    raw = read(edited("val.json", lambda listed: listed["annotations"][0].update(category_id=1)), name="changed")
    assert [item.label for item in raw.items["val"]] == [1, 0, 1, 1]
    assert raw.fingerprint != read(tree()).fingerprint


def test_the_fingerprint_changes_with_a_picture(read: Reader) -> None:
    changed = {**tree(), f"val/{FAN}/vb57f1.jpg": large.picture(1, (40, 40))}
    assert read(changed, name="changed").fingerprint != read(tree()).fingerprint


def test_a_subset_may_lack_pictures_and_keeps_the_classes(read: Reader) -> None:
    few = {path: content for path, content in tree().items() if not path.startswith(f"train_mini/{WORM}")}
    with pytest.raises(DataError, match=rf"train_mini.json disagree: 2 of 4 labels have no picture, .*{WORM}/tb"):
        read(few)
    raw = read(few, subset=True)
    assert raw.classes == large.SPECIES
    assert [item.label for item in raw.items["train"]] == [1, 1]


def without(start: str) -> Tree:
    return {path: content for path, content in tree().items() if not path.startswith(start)}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (without("train_mini/"), "looked for train_mini/ or train_mini.tar.gz in .*, found train_mini.json, val"),
        (without("val/"), "looked for val/ or val.tar.gz"),
        (without("train_mini.json"), "looked for train_mini.json or train_mini.json.tar.gz"),
        (without("val.json"), "looked for val.json or val.json.tar.gz"),
        ({**tree(), "val.json": b"{"}, "val.json: not as published .*JSONDecodeError"),
        ({**tree(), "val.json": b"[]"}, "val.json: not as published"),
        ({**tree(), "val.json": b"{}"}, "val.json: not as published .*'categories'"),
        (
            edited("val.json", lambda listed: listed["annotations"].pop(0)),
            "val.json: val/.*vb57f1.jpg has .* None",
        ),
        (
            edited("val.json", lambda listed: listed["annotations"][0].update(category_id=2)),
            "val.json: val/.*vb57f1.jpg has the category 2, of 2",
        ),
        (
            edited("val.json", lambda listed: listed["categories"][0].update(image_dir_name="other")),
            "train_mini.json and val.json have not the same categories",
        ),
        ({**tree(), f"val/{FAN}/more.jpg": b""}, f"val/ and val.json disagree: {FAN}/more.jpg has no label"),
    ],
)
def test_what_is_missing_or_wrong_is_one_clear_error(read: Reader, wrong: Tree, told: str) -> None:
    with pytest.raises(DataError, match=told) as raised:
        read(wrong)
    assert str(raised.value).count("\n") <= 2


def test_a_subset_of_nothing_is_an_error(read: Reader) -> None:
    with pytest.raises(DataError, match=r"val.json disagree: 4 of 4 labels have no picture"):
        read({**without("val/"), "val/readme.txt": b""}, subset=True)
