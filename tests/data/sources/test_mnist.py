"""MNIST and Fashion-MNIST: every name and packing of the four files gives the same set, a wrong file one error."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from factories.arrays import as_idx, labels, mnist, pictures
from factories.pack import Tree
from factories.reading import root, samples
from wavemix.data.raw.items import RawSet
from wavemix.data.sources import mnist as source
from wavemix.errors import DataError


def read(folder: Path, tree: Tree, *, val_fraction: float = 0.0, seed: int = 0) -> RawSet:
    return source.read(root=root(folder, tree), val_fraction=val_fraction, seed=seed)


def error(folder: Path, tree: Tree) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, tree)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value).replace(f"{folder}/raw", "ROOT")


def test_pictures_and_labels_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    raw = read(tmp_path, mnist(train=40, test=20))
    assert raw.schema == "labelled_image"
    assert raw.classes == tuple("0123456789")
    assert list(raw.items) == ["train", "test"]
    for split, expected in {"train": pictures(40, 28, 28), "test": pictures(20, 28, 28, seed=1)}.items():
        found = samples(raw, split)
        assert [key for key, _, _ in found] == [f"{split}-{index:06d}" for index in range(len(expected))]
        assert [label for _, label, _ in found] == labels(len(expected)).tolist()
        np.testing.assert_array_equal([picture for _, _, picture in found], expected)


def test_every_name_and_packing_gives_the_same_set(tmp_path: Path) -> None:
    first, *others = [
        read(tmp_path / f"{gz}-{dot}", mnist(gz=gz, dot=dot)) for gz in (True, False) for dot in (True, False)
    ]
    for other in others:
        assert other.items == first.items
        assert other.fingerprint == first.fingerprint
        assert other.expected == first.expected


def test_what_is_drawn_for_val_keeps_its_key_and_leaves_train(tmp_path: Path) -> None:
    whole, raw = read(tmp_path, mnist()), read(tmp_path, mnist(), val_fraction=0.25)
    assert list(raw.items) == ["train", "val", "test"]
    assert sorted([*raw.items["train"], *raw.items["val"]]) == list(whole.items["train"])
    assert sorted(item.label or 0 for item in raw.items["val"]) == list(range(10))  # one of the four of every class
    assert raw.items["test"] == whole.items["test"]
    assert read(tmp_path, mnist(), val_fraction=0.25).items == raw.items
    assert read(tmp_path, mnist(), val_fraction=0.25, seed=1).items["val"] != raw.items["val"]


@pytest.mark.parametrize("val_fraction", [0.0, 0.25])
def test_a_whole_set_would_have_the_published_counts(tmp_path: Path, val_fraction: float) -> None:
    raw = read(tmp_path, mnist(train=40, test=20), val_fraction=val_fraction)
    drawn = {"val": 10} if val_fraction else {}
    assert raw.expected == {"train": 60_000 - drawn.get("val", 0), **drawn, "test": 10_000}


def test_the_fingerprint_follows_pictures_and_labels(tmp_path: Path) -> None:
    tree = mnist()
    fingerprints = {
        read(tmp_path / str(number), {**tree, **change}).fingerprint
        for number, change in enumerate(
            [
                {},
                {"train-images-idx3-ubyte.gz": as_idx(pictures(40, 28, 28, seed=5))},
                {"t10k-labels-idx1-ubyte.gz": as_idx(labels(20)[::-1].copy())},
            ]
        )
    }
    assert len(fingerprints) == 3
    assert read(tmp_path / "again", tree).fingerprint in fingerprints


def test_fashion_has_its_own_classes(tmp_path: Path) -> None:
    raw = source.read_fashion(root=root(tmp_path, mnist()), val_fraction=0.0, seed=0)
    assert raw.classes[0] == "T-shirt/top"
    assert raw.classes[9] == "Ankle boot"
    assert raw.fingerprint != read(tmp_path, mnist()).fingerprint
    with pytest.raises(DataError, match=r"^looked for train-images-idx3-ubyte\.gz in"):
        source.read_fashion(root=root(tmp_path / "nothing", {"a": b""}), val_fraction=0.0, seed=0)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    tree = mnist()
    del tree["t10k-labels-idx1-ubyte.gz"]
    assert error(tmp_path, tree) == (
        "looked for t10k-labels-idx1-ubyte.gz in ROOT, found "
        "t10k-images-idx3-ubyte.gz, train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz"
    )


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (mnist()["train-images-idx3-ubyte.gz"][:-50], "is damaged: "),
        (gzip.compress(as_idx(pictures(40, 28, 28), gz=False)[:-1]), "31359 bytes .* announces 40 x 28 x 28; download"),
        (as_idx(labels(40)), "no IDX file of bytes in 3 dimensions; it begins with 00 00 08 01$"),
        (b"<html>", "no IDX file .* begins with 3c 68 74 6d$"),
        (b"", "no IDX file .* begins with nothing$"),
        (as_idx(pictures(39, 28, 28)), "^train has 39 pictures and 40 labels$"),
    ],
)
def test_a_wrong_file_is_told_once(tmp_path: Path, content: bytes, what: str) -> None:
    told = error(tmp_path, {**mnist(), "train-images-idx3-ubyte.gz": content})
    with pytest.raises(DataError, match=what):
        raise DataError(told)


def test_a_label_without_a_class_is_named(tmp_path: Path) -> None:
    wrong = labels(40)
    wrong[[7, 9]] = 10
    told = error(tmp_path, {**mnist(), "train-labels-idx1-ubyte.gz": as_idx(wrong)})
    assert told == "train, picture 7: there is no class 10, only 0 to 9"


def test_a_fraction_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^val 1\.0 leaves nothing to train on$"):
        read(tmp_path, mnist(), val_fraction=1.0)
