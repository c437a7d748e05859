"""A user's own classes in folders: the same samples from folders and archives, or one clear error."""

from collections.abc import Callable
from pathlib import Path

import pytest

from factories.pack import Tree, as_folder, as_tar, as_zip, picture
from factories.reading import Reader, contents_of, reader
from wavemix.data import Options, make_plan
from wavemix.data.raw.archives import RawFolder
from wavemix.data.sources import image_folder
from wavemix.errors import DataError

TREE = {
    "train/cat/a.jpg": picture(1),
    "train/cat/b.png": picture(2, kind="PNG"),
    "train/cat/notes.txt": b"no picture",
    "train/dog/a.JPG": picture(3),
    "train/dog/wild/dingo.tif": picture(4, kind="TIFF"),
    "val/cat/c.webp": picture(5, kind="WEBP"),
    "test/dog/d.Jpeg": picture(6),
}


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return reader(image_folder.read, tmp_path)


@pytest.fixture
def error(read: Reader, tmp_path: Path) -> Callable[[Tree], str]:
    def told(tree: Tree) -> str:
        with pytest.raises(DataError) as caught:
            read(tree)
        return str(caught.value).replace(str(tmp_path / "raw"), "ROOT")

    return told


def without(split: str) -> Tree:
    return {path: content for path, content in TREE.items() if not path.startswith(split)}


def test_a_folder_of_mixed_pictures_is_read(read: Reader) -> None:
    raw = read(TREE)
    assert (raw.schema, raw.classes, raw.expected) == ("labelled_image", ("cat", "dog"), {})
    assert contents_of(raw) == {
        "train": [
            ("cat/a", 0, {"image": TREE["train/cat/a.jpg"]}),
            ("cat/b", 0, {"image": TREE["train/cat/b.png"]}),
            ("dog/a", 1, {"image": TREE["train/dog/a.JPG"]}),
            ("dog/wild/dingo", 1, {"image": TREE["train/dog/wild/dingo.tif"]}),
        ],
        "val": [("cat/c", 0, {"image": TREE["val/cat/c.webp"]})],
        "test": [("dog/d", 1, {"image": TREE["test/dog/d.Jpeg"]})],
    }
    make_plan(raw, name="own", source={}, options=Options(samples_per_shard=2))


@pytest.mark.parametrize("split", ["val", "test"])
def test_one_of_val_and_test_is_enough(read: Reader, split: str) -> None:
    assert list(read(without(split)).items) == [one for one in ("train", "val", "test") if one != split]


@pytest.mark.parametrize(("suffix", "pack"), [("zip", as_zip), ("tar", as_tar)])
def test_a_split_may_be_an_archive(read: Reader, tmp_path: Path, suffix: str, pack: Callable[[Tree], bytes]) -> None:
    unpacked = read(TREE)
    packed = {
        f"{split}.{suffix}": pack({p: c for p, c in TREE.items() if p.startswith(split)}) for split in unpacked.items
    }
    raw = image_folder.read(root=RawFolder(as_folder(tmp_path / "packed", packed), tmp_path / "scratch"))
    assert contents_of(raw) == contents_of(unpacked)
    assert raw.fingerprint == unpacked.fingerprint


def test_the_fingerprint_follows_names_and_sizes(read: Reader, tmp_path: Path) -> None:
    before = read(TREE).fingerprint
    assert read(TREE).fingerprint == before
    assert read({"val/cat/c.webp": TREE["val/cat/c.webp"] + b"x"}).fingerprint != before
    (tmp_path / "raw/val/cat/c.webp").rename(tmp_path / "raw/val/cat/d.webp")
    assert read({"val/cat/d.webp": TREE["val/cat/c.webp"]}).fingerprint != before


def test_a_dot_in_a_name_does_not_end_the_key(read: Reader) -> None:
    raw = read({**TREE, "val/cat/photo.v2.final.jpg": picture(9)})
    assert [item.key for item in raw.items["val"]] == ["cat/c", "cat/photo_v2_final"]


def test_a_missing_root_says_what_was_looked_for(tmp_path: Path) -> None:
    told = r"^looked for train/ and at least one of val/ and test/ in .*nowhere, which is no folder$"
    with pytest.raises(DataError, match=told):
        image_folder.read(root=RawFolder(tmp_path / "nowhere", tmp_path))


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        (without("train"), "looked for train/ and at least one of val/ and test/ in ROOT, found test, val"),
        (
            {path: TREE[path] for path in without("val") if path.startswith("train")},
            "looked for train/ and at least one of val/ and test/ in ROOT, found train",
        ),
        (
            {**without("val"), "val/cat/notes.txt": b""},
            "no picture in ROOT/val/; looked for *.{jpg,jpeg,png,webp,bmp,gif,tif,tiff,ppm} at any depth",
        ),
        ({**TREE, "test/cow/a.png": picture()}, "ROOT/test has classes that train has not: cow"),
        ({**TREE, "train/a.png": picture()}, "ROOT/train has the picture a outside of any class; put it into a folder"),
        (
            {**TREE, "train/cat/a.png": picture()},
            "ROOT/train/cat/a.jpg and cat/a.png would get the same key; rename one",
        ),
    ],
    ids=["no train", "train alone", "no picture", "unknown class", "no class", "one key twice"],
)
def test_what_is_wrong_is_one_clear_error(error: Callable[[Tree], str], tree: Tree, told: str) -> None:
    assert error(tree) == told


def test_without_a_folder_val_a_part_of_train_is_drawn_class_by_class(read: Reader) -> None:
    tree = {f"{split}/{name}/{n}.png": picture(n) for split in ("train", "test") for name in "ab" for n in range(10)}
    raw = read(tree, val_fraction=0.2, seed=1)
    assert {split: len(items) for split, items in raw.items.items()} == {"val": 4, "train": 16, "test": 20}
    assert sorted(item.label for item in raw.items["val"]) == [0, 0, 1, 1]
    keys = [item.key for split in ("train", "val") for item in raw.items[split]]
    assert sorted(keys) == sorted(f"{name}/{n}" for name in "ab" for n in range(10))
    assert [item.key for item in read(tree, val_fraction=0.2, seed=1).items["val"]] == [
        item.key for item in raw.items["val"]
    ]


def test_val_is_not_drawn_beside_a_folder_of_that_name(read: Reader) -> None:
    with pytest.raises(DataError, match="has a folder val: leave val_fraction out"):
        read(TREE, val_fraction=0.2)
