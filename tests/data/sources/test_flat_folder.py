"""Pictures without labels: all, wherever below the root, in a split that the seed chooses; whole or in tiles."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factories.pack import Tree, noise, picture
from factories.reading import Reader, reader
from wavemix.data.decode import decode_image
from wavemix.data.raw.items import RawSet
from wavemix.data.resize import imresize
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


PHOTOGRAPHS = {f"{number}.png": noise(number, size=(41, 33)) for number in range(10)}


def names_of(raw: RawSet) -> dict[str, set[str]]:
    return {split: {item.key.split("/")[0] for item in items} for split, items in raw.items.items()}


def test_tiles_are_split_as_their_pictures_are(read: Reader) -> None:
    whole, tiles = read(PHOTOGRAPHS), read(PHOTOGRAPHS, tile=16)
    assert (tiles.schema, tiles.fingerprint) == ("image", whole.fingerprint)
    assert names_of(tiles) == names_of(whole)
    assert {split: len(items) for split, items in tiles.items.items()} == {"train": 7 * 4, "val": 2 * 4, "test": 4}


def test_tiles_have_low_resolutions_if_scales_are_given(read: Reader) -> None:
    raw = read(PHOTOGRAPHS, tile=16, scales=(2, 4))
    assert raw.schema == "image_pair"
    sizes = {role: decode_image(part).shape for role, part in raw.read(raw.items["train"][5].what).items()}
    assert sizes == {"hr": (16, 16, 3), "x2": (8, 8, 3), "x4": (4, 4, 3)}


def test_tiles_are_cut_from_smaller_pictures_if_asked(read: Reader) -> None:
    assert len(read(PHOTOGRAPHS, tile=16, shortest_side=16).items["train"]) == 7


def test_tiles_without_detail_are_left_out_if_asked(read: Reader) -> None:
    flat = {f"{number}.png": picture(number, size=(41, 33), kind="PNG") for number in range(10, 20)}
    raw = read({**PHOTOGRAPHS, **flat}, tile=16, min_detail=4.0)
    assert sorted(set.union(*names_of(raw).values())) == [str(number) for number in range(10)]
    assert sum(map(len, raw.items.values())) == 40


def test_whole_pictures_have_low_resolutions_too(read: Reader) -> None:
    raw = read(PHOTOGRAPHS, scales=(2,), val_fraction=0, test_fraction=0)
    assert raw.schema == "image_pair"
    parts = raw.read(raw.items["train"][3].what)
    assert parts["hr"] == PHOTOGRAPHS["3.png"]
    expected = imresize(decode_image(PHOTOGRAPHS["3.png"])[:32, :40], 1 / 2)
    np.testing.assert_array_equal(decode_image(parts["x2"]), expected)


@pytest.mark.parametrize(
    ("tree", "how", "told"),
    [
        ({"readme.md": b""}, {}, "no picture in .*; looked for .*jpg"),
        ({"a.jpg": b"1", "a.png": b"2"}, {}, r"/a.jpg and a.png would get the same key; rename one"),
        (TREE, {"val_fraction": 0.9}, "val 0.9 and test 0.1 leave nothing to train on"),
        (TREE, {"tile": 16}, "^no tile of 16 pixels fits into .*, which has 6x4; lower tile or leave it out$"),
        (PHOTOGRAPHS, {"tile": 17, "scales": (2,)}, "^a tile of 17 pixels cannot be cut at x2; take a multiple of 2$"),
        (TREE, {"shortest_side": 3}, "^shortest_side and min_detail are for pictures that are cut .*; give tile too$"),
        (TREE, {"min_detail": 4.0}, "^shortest_side and min_detail are for pictures that are cut .*; give tile too$"),
    ],
    ids=["none", "one key twice", "nothing for train", "too small for a tile", "no multiple", "small", "flat"],
)
def test_what_is_wrong_is_one_clear_error(read: Reader, tree: Tree, how: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        read(tree, **how)
