"""Galaxy10: one HDF5 file, split here class by class."""

import io
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from factories.arrays import galaxy10, labels, pictures
from factories.pack import Tree
from factories.reading import root, samples
from wavemix.data.raw.items import RawSet
from wavemix.data.sources import galaxy10 as source
from wavemix.errors import DataError


def read(folder: Path, tree: Tree, *, val: float = 0.0, test: float = 0.0, seed: int = 0) -> RawSet:
    return source.read(root=root(folder, tree), val_fraction=val, test_fraction=test, seed=seed)


def test_pictures_and_labels_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    raw = read(tmp_path, galaxy10(30))
    assert len(raw.classes) == 10
    assert (raw.classes[0], raw.classes[9]) == ("Disturbed", "Edge-on with Bulge")
    found = samples(raw, "train")
    assert [(key, label) for key, label, _ in found] == [
        (f"galaxy-{index:06d}", label) for index, label in enumerate(labels(30).tolist())
    ]
    np.testing.assert_array_equal([picture for _, _, picture in found], pictures(30, 16, 16, 3))


def test_every_split_has_its_share_of_every_class(tmp_path: Path) -> None:
    raw = read(tmp_path, galaxy10(100), val=0.2, test=0.3)
    assert {split: np.bincount([item.label or 0 for item in items]).tolist() for split, items in raw.items.items()} == {
        "train": [5] * 10,
        "val": [2] * 10,
        "test": [3] * 10,
    }
    keys = [item.key for items in raw.items.values() for item in items]
    assert len(set(keys)) == 100
    assert read(tmp_path, galaxy10(100), val=0.2, test=0.3, seed=1).items != raw.items


def test_a_whole_set_would_have_the_published_count(tmp_path: Path) -> None:
    assert read(tmp_path, galaxy10(), val=0.4).expected == {"train": 17_736 - 10, "val": 10}
    assert read(tmp_path, galaxy10()).expected == {"train": 17_736}


def test_the_fingerprint_follows_the_file_and_not_the_split(tmp_path: Path) -> None:
    before = read(tmp_path, galaxy10()).fingerprint
    assert read(tmp_path, galaxy10(), val=0.4, seed=3).fingerprint == before
    assert read(tmp_path / "other", galaxy10(29)).fingerprint != before


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^looked for Galaxy10_DECals\.h5 in .*/raw, found Galaxy10\.h5$"):
        read(tmp_path, {"Galaxy10.h5": b""})


def as_h5(**sets: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, values in sets.items():
            file[name] = values
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (galaxy10()["Galaxy10_DECals.h5"][:-500], "damaged, or another file: "),
        (b"<html>", "damaged, or another file: "),
        (as_h5(images=pictures(3, 4, 4, 3)), "damaged, or another file: .*ans"),
        (as_h5(images=pictures(3, 4, 4, 3), ans=labels(2)), "^galaxy has 3 pictures and 2 labels$"),
        (as_h5(images=pictures(3, 4, 4, 3).astype(float), ans=labels(3)), "galaxy is float64"),
    ],
)
def test_a_wrong_file_is_told_once(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        read(tmp_path, {"Galaxy10_DECals.h5": content})
    assert len(str(caught.value).splitlines()) == 1


def test_pixels_that_are_damaged_are_told_before_anything_is_kept(tmp_path: Path) -> None:
    content = bytearray(galaxy10(200, 64)["Galaxy10_DECals.h5"])
    content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
    with pytest.raises(DataError, match=r"Galaxy10_DECals\.h5: damaged, or another file: "):
        read(tmp_path, {"Galaxy10_DECals.h5": bytes(content)})
    assert not (tmp_path / "scratch").exists()


def test_without_h5py_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = galaxy10()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"^h5py is not installed; pip install 'wavemix-train"):
        read(tmp_path, tree)
