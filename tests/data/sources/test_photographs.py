"""The photographs of scikit-image: tiles that follow from the tile's size, and no photograph in two splits."""

import importlib.util

import numpy as np
import pytest

from wavemix.data.decode import decode_image
from wavemix.data.raw.items import RawSet
from wavemix.data.sources import photographs
from wavemix.errors import DataError


@pytest.fixture(scope="module")
def tiles() -> RawSet:
    return photographs.read(tile=64)


def test_all_whole_tiles_are_there(tiles: RawSet) -> None:
    assert (tiles.schema, tiles.classes, tiles.expected) == ("image", (), {})
    # 512x512, 741x500 and 640x427 pixels; 451x300; 600x400.
    assert {split: len(items) for split, items in tiles.items.items()} == {
        "train": 8 * 8 + 11 * 7 + 10 * 6,
        "val": 7 * 4,
        "test": 9 * 6,
    }
    keys = [item.key for item in tiles.items["val"]]
    assert (keys[0], keys[7], keys[-1]) == ("chelsea/00_00", "chelsea/01_00", "chelsea/03_06")
    assert all(len({item.key for item in items}) == len(items) for items in tiles.items.values())


def test_no_photograph_is_in_two_splits(tiles: RawSet) -> None:
    names = [name for items in tiles.items.values() for name in {item.key.partition("/")[0] for item in items}]
    assert sorted(names) == ["astronaut", "chelsea", "coffee", "motorcycle_left", "rocket"]


def test_tiles_are_the_photograph_and_do_not_overlap(tiles: RawSet) -> None:
    parts = {item.key: decode_image(tiles.read(item.what)["image"]) for item in tiles.items["train"][:64]}
    rows = [np.hstack([parts[f"astronaut/{row:02d}_{column:02d}"] for column in range(8)]) for row in range(8)]
    file = tiles.items["train"][0].what[0]
    np.testing.assert_array_equal(np.vstack(rows), decode_image(file.read()))


def test_the_fingerprint_follows_the_tile(tiles: RawSet) -> None:
    assert photographs.read(tile=64).fingerprint == tiles.fingerprint
    assert photographs.read(tile=65).fingerprint != tiles.fingerprint


def test_a_tile_larger_than_a_photograph_is_refused() -> None:
    told = r"^no tile of 301 pixels fits into chelsea\.png, which has 451x300$"
    with pytest.raises(DataError, match=told):
        photographs.read(tile=301)


def test_it_says_so_if_scikit_image_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"^scikit-image is not installed; pip install"):
        photographs.read(tile=64)
