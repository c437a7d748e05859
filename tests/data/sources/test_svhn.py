"""SVHN: MATLAB's axes and its digit 10 are put right; the extra digits go to train alone."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from factories.arrays import labels, pictures, svhn
from factories.pack import Tree
from factories.reading import root, samples
from wavemix.data.raw.items import RawSet
from wavemix.data.sources import svhn as source
from wavemix.errors import DataError


def read(folder: Path, tree: Tree, *, extra: bool = False, val_fraction: float = 0.0) -> RawSet:
    return source.read(root=root(folder, tree), extra=extra, val_fraction=val_fraction, seed=0)


def test_pictures_stand_upright_and_10_is_0(tmp_path: Path) -> None:
    raw = read(tmp_path, svhn())
    assert raw.classes == tuple("0123456789")
    found = samples(raw, "train")
    assert [key for key, _, _ in found] == [f"train-{index:06d}" for index in range(20)]
    assert [label for _, label, _ in found] == labels(20).tolist()
    np.testing.assert_array_equal([picture for _, _, picture in found], pictures(20, 32, 32, 3))
    np.testing.assert_array_equal([one for _, _, one in samples(raw, "test")], pictures(10, 32, 32, 3, seed=2))


def test_extra_joins_train_and_val_comes_from_train_alone(tmp_path: Path) -> None:
    raw = read(tmp_path, svhn(), extra=True, val_fraction=0.5)
    keys = {split: [item.key for item in items] for split, items in raw.items.items()}
    assert list(keys) == ["train", "val", "test"]
    assert len(keys["val"]) == 10
    assert all(key.startswith("train-") for key in keys["val"])
    assert keys["train"][10:] == [f"extra-{index:06d}" for index in range(10)]
    assert not set(keys["train"]) & set(keys["val"])
    assert keys["val"] == [item.key for item in read(tmp_path, svhn(), val_fraction=0.5).items["val"]]


@pytest.mark.parametrize(("extra", "train"), [(False, 73_257), (True, 73_257 + 531_131)])
def test_a_whole_set_would_have_the_published_counts(tmp_path: Path, extra: bool, train: int) -> None:
    assert read(tmp_path, svhn(), extra=extra).expected == {"train": train, "test": 26_032}
    assert read(tmp_path, svhn(), extra=extra, val_fraction=0.5).expected == {
        "train": train - 10,
        "val": 10,
        "test": 26_032,
    }


def test_the_fingerprint_follows_what_is_read(tmp_path: Path) -> None:
    plain = read(tmp_path, svhn()).fingerprint
    assert read(tmp_path, svhn(), extra=True).fingerprint != plain
    assert read(tmp_path / "less", svhn(extra=5)).fingerprint == plain
    assert read(tmp_path / "more", svhn(train=21)).fingerprint != plain


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    tree = {name: content for name, content in svhn().items() if "extra" not in name}
    assert read(tmp_path, tree).items
    with pytest.raises(DataError, match=r"^looked for extra_32x32\.mat in .*, found test_32x32\.mat, train"):
        read(tmp_path, tree, extra=True)


def as_mat(**variables: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, variables)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (svhn()["train_32x32.mat"][:-100], r"train_32x32\.mat: damaged, or another file: .*; download it again$"),
        (b"", r"train_32x32\.mat: damaged, or another file: .*; download it again$"),
        (b"<html>no such page</html>" * 20, r"train_32x32\.mat: damaged, or another file: .*; download it again$"),
        (as_mat(y=labels(3)), "damaged, or another file: no variable 'X'; download it again$"),
        (as_mat(X=pictures(32, 32, 3, 3), y=labels(2)), "^train has 3 pictures and 2 labels$"),
        (as_mat(X=pictures(32, 32, 3, 2), y=labels(2) + 10), "train, picture 1: there is no class 11, only 0 to 9$"),
    ],
)
def test_a_wrong_file_is_told_once(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        read(tmp_path, {**svhn(), "train_32x32.mat": content})
    assert len(str(caught.value).splitlines()) == 1


def test_without_scipy_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DataError, match=r"^SciPy is not installed; pip install 'wavemix-train\[pipeline\]'$"):
        read(tmp_path, svhn())
