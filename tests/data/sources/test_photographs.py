"""The photographs of scikit-image: tiles that follow from the tile's size, and no photograph in two splits."""

import importlib.util

import numpy as np
import pytest

from wavemix.data.decode import decode_image
from wavemix.data.raw.items import RawSet
from wavemix.data.resize import crop_to_multiple, imresize
from wavemix.data.schema import ImagePair, Record
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
    file = tiles.items["train"][0].what.file
    np.testing.assert_array_equal(np.vstack(rows), decode_image(file.read()))


def test_low_resolutions_are_cut_from_the_whole_photograph_made_small() -> None:
    raw = photographs.read(tile=96, scales=(2, 3))
    assert raw.schema == "image_pair"
    items = raw.items["val"]  # 451x300 pixels: 4x3 tiles, and the width is no multiple of a scale
    parts = [{role: decode_image(content) for role, content in raw.read(item.what).items()} for item in items]
    assert [sorted(one) for one in parts] == [["hr", "x2", "x3"]] * 12
    whole = decode_image(items[0].what.file.read())
    expected = {"hr": whole, **{f"x{scale}": imresize(crop_to_multiple(whole, scale), 1 / scale) for scale in (2, 3)}}
    for role, picture in expected.items():
        rows = [np.hstack([one[role] for one in parts[start : start + 4]]) for start in (0, 4, 8)]
        height, width = np.vstack(rows).shape[:2]
        np.testing.assert_array_equal(np.vstack(rows), picture[:height, :width])


def test_pairs_fit_together_as_the_task_needs_them() -> None:
    raw = photographs.read(tile=48, scales=(4,))
    pair = ImagePair.decode(
        Record("a", {f"{role}.png": part for role, part in raw.read(raw.items["test"][5].what).items()})
    )
    assert (pair.high.shape, pair.low[4].shape, pair.grey) == ((48, 48, 3), (12, 12, 3), False)


def test_a_tile_must_be_a_multiple_of_the_scale() -> None:
    with pytest.raises(DataError, match=r"^a tile of 64 pixels cannot be cut at x3; take a multiple of 3$"):
        photographs.read(tile=64, scales=(2, 3))


def test_the_fingerprint_follows_the_tile(tiles: RawSet) -> None:
    assert photographs.read(tile=64).fingerprint == tiles.fingerprint
    assert photographs.read(tile=65).fingerprint != tiles.fingerprint
    assert photographs.read(tile=64, scales=(2,)).fingerprint != tiles.fingerprint


def test_a_tile_larger_than_a_photograph_is_refused() -> None:
    told = r"^no tile of 301 pixels fits into chelsea\.png, which has 451x300; "
    with pytest.raises(DataError, match=told):
        photographs.read(tile=301)


def test_it_says_so_if_scikit_image_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"^scikit-image is not installed; pip install"):
        photographs.read(tile=64)
