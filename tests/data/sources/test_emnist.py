"""EMNIST: the zip, what is in it and what is in that give the same upright pictures, counted from 0."""

from pathlib import Path

import numpy as np
import pytest

from factories.arrays import as_idx, emnist, emnist_zip, labels, mnist, pictures
from factories.pack import Tree, as_zip
from factories.reading import root, samples
from wavemix.data.raw.items import RawSet
from wavemix.data.sources import emnist as source
from wavemix.errors import DataError


def read(folder: Path, tree: Tree, part: str = "letters", *, val_fraction: float = 0.0) -> RawSet:
    return source.read(root=root(folder, tree), part=part, val_fraction=val_fraction, seed=0)


def error(folder: Path, tree: Tree, part: str = "letters") -> str:
    with pytest.raises(DataError) as caught:
        read(folder, tree, part)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value).replace(f"{folder}/raw", "ROOT")


def test_pictures_stand_upright(tmp_path: Path) -> None:
    found = samples(read(tmp_path, emnist_zip("letters")), "train")
    np.testing.assert_array_equal([picture for _, _, picture in found], pictures(52, 28, 28))


def test_letters_count_from_0_and_are_named_by_the_capital(tmp_path: Path) -> None:
    raw = read(tmp_path, emnist_zip("letters"))
    assert raw.classes == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert [item.label for item in raw.items["train"]] == labels(52, 26).tolist()
    assert [item.key for item in raw.items["test"]] == [f"test-{index:06d}" for index in range(26)]


def test_digits_stay_as_they_are(tmp_path: Path) -> None:
    raw = read(tmp_path, emnist("digits"), "digits")
    assert raw.classes == tuple("0123456789")
    assert [item.label for item in raw.items["test"]] == labels(26, 10).tolist()


def test_zip_folder_and_bare_files_give_the_same_set(tmp_path: Path) -> None:
    bare = {name.removeprefix("gzip/"): content for name, content in emnist("letters", gz=False).items()}
    first, *others = [
        read(tmp_path / str(number), tree)
        for number, tree in enumerate([emnist_zip("letters"), emnist("letters"), emnist("letters", gz=False), bare])
    ]
    for other in others:
        assert (other.items, other.classes, other.expected) == (first.items, first.classes, first.expected)
        assert other.fingerprint == first.fingerprint


def test_parts_are_different_sets(tmp_path: Path) -> None:
    tree = {**emnist("letters"), **emnist("digits", train=52)}
    assert read(tmp_path, tree, "letters").fingerprint != read(tmp_path, tree, "digits").fingerprint


@pytest.mark.parametrize(("part", "train", "test"), [("letters", 124_800, 20_800), ("digits", 240_000, 40_000)])
def test_a_whole_set_would_have_the_published_counts(tmp_path: Path, part: str, train: int, test: int) -> None:
    raw = read(tmp_path, emnist(part), part, val_fraction=0.5)
    drawn = len(raw.items["val"])
    assert drawn > 0
    assert raw.expected == {"train": train - drawn, "val": drawn, "test": test}


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    assert error(tmp_path, emnist("digits")) == (
        "looked for gzip/emnist-letters-mapping.txt or gzip.zip in ROOT, found gzip"
    )
    assert error(tmp_path / "other", mnist()).startswith("looked for gzip/emnist-letters-mapping.txt or")


def test_a_member_that_the_zip_lacks_is_named(tmp_path: Path) -> None:
    members = emnist("letters")
    del members["gzip/emnist-letters-test-labels-idx1-ubyte.gz"]
    assert error(tmp_path, {"gzip.zip": as_zip(members)}).startswith(
        "looked for gzip/emnist-letters-test-labels-idx1-ubyte.gz or gzip.zip in ROOT"
    )


@pytest.mark.parametrize(
    ("mapping", "what"),
    [
        ("1 65 97\n2 B b\n", "line 2: looked for a label and ASCII codes, found '2 B b'"),
        ("1 65 97\n2\n", "line 2: looked for a label and ASCII codes, found '2'"),
        ("1 65\n3 67\n", r"looked for labels in a row, found \[1, 3\]"),
        ("", r"looked for labels in a row, found \[\]"),
    ],
)
def test_a_malformed_mapping_is_named(tmp_path: Path, mapping: str, what: str) -> None:
    with pytest.raises(DataError, match=f"^gzip/emnist-letters-mapping.txt.*{what}"):
        read(tmp_path, {**emnist("letters"), "gzip/emnist-letters-mapping.txt": mapping.encode()})


def test_a_label_before_the_first_is_named(tmp_path: Path) -> None:
    tree = {**emnist("letters"), "gzip/emnist-letters-train-labels-idx1-ubyte.gz": as_idx(labels(52, 26))}
    assert error(tmp_path, tree) == "train, picture 0: there is no class -1, only 0 to 25"
