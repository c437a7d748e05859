"""Pictures without labels: all of them, wherever below the root, in a split that the seed chooses."""

from pathlib import Path

import pytest

from factories.pack import Tree, picture
from factories.reading import Reader, reader
from wavemix.data.sources import flat_folder
from wavemix.errors import DataError

TREE = {
    "a.jpg": picture(1),
    "b.PNG": picture(2, kind="PNG"),
    "sub/c.gif": picture(3, kind="GIF"),
    "sub/deeper/d.v2.webp": picture(4, kind="WEBP"),
    "readme.md": b"",
    **{f"more/{number}.jpg": picture(number) for number in range(6)},
}
KEYS = ["a", "b", *(f"more/{number}" for number in range(6)), "sub/c", "sub/deeper/d_v2"]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return reader(flat_folder.read, tmp_path, val_fraction=0.2, test_fraction=0.1, seed=0)


def test_every_picture_is_in_one_split(read: Reader) -> None:
    raw = read(TREE)
    assert (raw.schema, raw.classes, raw.expected) == ("image", (), {})
    assert {split: len(items) for split, items in raw.items.items()} == {"train": 7, "val": 2, "test": 1}
    items = [item for some in raw.items.values() for item in some]
    assert sorted(item.key for item in items) == KEYS
    assert all(item.label is None for item in items)
    contents = {item.key: raw.read(item.what)["image"] for item in items}
    assert contents["sub/deeper/d_v2"] == TREE["sub/deeper/d.v2.webp"]


def test_a_split_keeps_the_order_of_the_paths(read: Reader) -> None:
    assert [item.key for item in read(TREE, val_fraction=0, test_fraction=0).items["train"]] == KEYS


def test_the_seed_chooses_the_split_and_nothing_else(read: Reader) -> None:
    raw, again, other = read(TREE), read(TREE), read(TREE, seed=1)
    assert raw.items == again.items != other.items
    assert raw.fingerprint == again.fingerprint == other.fingerprint
    assert read({"new.jpg": picture()}).fingerprint != raw.fingerprint


@pytest.mark.parametrize(
    ("tree", "how", "told"),
    [
        ({"readme.md": b""}, {}, "no picture in .*; looked for .*jpg"),
        ({"a.jpg": b"1", "a.png": b"2"}, {}, r"/a.jpg and a.png would get the same key; rename one"),
        (TREE, {"val_fraction": 0.9}, "val 0.9 and test 0.1 leave nothing to train on"),
    ],
    ids=["none", "one key twice", "nothing for train"],
)
def test_what_is_wrong_is_one_clear_error(read: Reader, tree: Tree, how: dict[str, float], told: str) -> None:
    with pytest.raises(DataError, match=told):
        read(tree, **how)
