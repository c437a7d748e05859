"""Tiles of photographs: put together they are the photograph, and each of these is decoded once."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from factories.pack import Tree, as_folder, noise
from wavemix.data.admit import Rejected
from wavemix.data.decode import decode_image, encode_png
from wavemix.data.raw.archives import RawFile
from wavemix.data.raw.items import RawSet
from wavemix.data.raw.tiles import detail_of, tiled
from wavemix.data.resize import crop_to_multiple, imresize
from wavemix.errors import DataError

Pixels = NDArray[np.uint8]


def cut(
    folder: Path,
    tree: Tree,
    *,
    tile: int = 24,
    scales: tuple[int, ...] = (),
    shortest_side: int | None = None,
    min_detail: float = 0.0,
) -> RawSet:
    as_folder(folder, tree)
    files = {Path(name).stem: RawFile(name, len(content), str(folder / name)) for name, content in tree.items()}
    how = {"tile": tile, "scales": scales, "shortest_side": shortest_side, "min_detail": min_detail}
    return tiled({"train": files}, **how, fingerprint="")  # type: ignore[arg-type]


def put_together(raw: RawSet, role: str, rows: int, columns: int) -> Pixels:
    tiles = [decode_image(raw.read(item.what)[role]) for item in raw.items["train"]]
    assert len(tiles) == rows * columns
    return np.vstack([np.hstack(tiles[row * columns : (row + 1) * columns]) for row in range(rows)])


def test_tiles_without_scales_are_the_photograph(tmp_path: Path) -> None:
    content = noise(size=(101, 55))
    raw = cut(tmp_path, {"a.png": content})
    assert raw.schema == "image"
    assert [item.key for item in raw.items["train"]] == [
        f"a/{row:02d}_{column:02d}" for row in (0, 1) for column in range(4)
    ]
    np.testing.assert_array_equal(put_together(raw, "image", 2, 4), decode_image(content)[:48, :96])


@pytest.mark.parametrize("size", [(101, 55), (72, 48), (73, 73), (24, 24)], ids=str)
def test_low_resolutions_are_those_of_the_whole_photograph(tmp_path: Path, size: tuple[int, int]) -> None:
    content = noise(1, size=size)
    raw, whole = cut(tmp_path, {"a.png": content}, scales=(2, 3, 4)), decode_image(content)
    assert raw.schema == "image_pair"
    rows, columns = size[1] // 24, size[0] // 24
    np.testing.assert_array_equal(put_together(raw, "hr", rows, columns), whole[: rows * 24, : columns * 24])
    for scale in (2, 3, 4):
        small = imresize(crop_to_multiple(whole, scale), 1 / scale)
        side = 24 // scale
        np.testing.assert_array_equal(
            put_together(raw, f"x{scale}", rows, columns), small[: rows * side, : columns * side]
        )


def test_a_photograph_is_made_small_first_if_it_is_larger(tmp_path: Path) -> None:
    content = noise(2, size=(200, 100))
    raw = cut(tmp_path, {"a.png": content}, shortest_side=50)
    small = np.asarray(Image.open(io.BytesIO(content)).resize((100, 50), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(put_together(raw, "image", 2, 4), small[:48, :96])
    again = cut(tmp_path, {"a.png": content}, shortest_side=100)
    np.testing.assert_array_equal(put_together(again, "image", 4, 8), decode_image(content)[:96, :192])


def test_detail_is_how_much_neighbouring_pixels_differ() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    assert detail_of(image) == 0
    image[:, 1] = 200  # from left to right all differ by 200, from top to bottom none
    assert detail_of(image) == 100


def test_tiles_with_little_detail_are_left_out(tmp_path: Path) -> None:
    pixels = np.full((24, 72, 3), 128, np.uint8)
    pixels[:, 24:48] += np.indices((24, 24)).sum(axis=0)[:, :, None].astype(np.uint8) % 2 * 10  # a chessboard
    pixels[:, 48:] += np.arange(24, dtype=np.uint8)[:, None] * 2  # rises by 2 from left to right
    raw = cut(tmp_path, {"a.png": encode_png(pixels)}, min_detail=1.0)
    assert [item.key for item in raw.items["train"]] == ["a/00_01", "a/00_02"]
    np.testing.assert_array_equal(decode_image(raw.read(raw.items["train"][1].what)["image"]), pixels[:, 48:])
    assert len(cut(tmp_path, {"a.png": encode_png(pixels)}, min_detail=1.01).items["train"]) == 1


def parts_of(raw: RawSet, photograph: str) -> Iterable[Mapping[str, bytes]]:
    return (raw.read(item.what) for item in raw.items["train"] if item.key.startswith(f"{photograph}/"))


def test_a_photograph_is_decoded_once_for_all_its_tiles_and_only_a_few_are_kept(tmp_path: Path) -> None:
    raw = cut(tmp_path, {f"{name}.png": noise(3, size=(50, 50)) for name in "abcdefgh"})
    tiles = parts_of(raw, "a")
    next(iter(tiles))
    (tmp_path / "a.png").unlink()
    assert len(list(tiles)) == 3
    for name in "bcdefgh":
        assert len(list(parts_of(raw, name))) == 4
    with pytest.raises(DataError, match=r"cannot read a\.png"):
        list(parts_of(raw, "a"))


def test_tiles_of_a_damaged_photograph_are_rejected(tmp_path: Path) -> None:
    raw = cut(tmp_path, {"a.png": noise(size=(50, 50))[:-2000]})
    for item in raw.items["train"]:
        with pytest.raises(Rejected, match=r"^a\.png cannot be decoded: "):
            raw.read(item.what)


@pytest.mark.parametrize(
    ("content", "how", "told"),
    [
        (noise(size=(50, 20)), {}, "no tile of 24 pixels fits into a.png, which has 50x20; lower tile or leave it out"),
        (noise(size=(50, 50)), {"shortest_side": 20}, "no tile of 24 pixels fits into a.png, which has 20x20; "),
        (noise(size=(50, 50)), {"tile": 25, "scales": (2,)}, "a tile of 25 pixels cannot be cut at x2; "),
        (noise(size=(50, 50))[:-2000], {"min_detail": 1.0}, "a.png cannot be decoded: "),
        (b"text", {}, "a.png cannot be decoded: no picture; mend it or take it away"),
    ],
    ids=["a small one", "made too small", "no multiple", "damaged, and to be looked at", "no picture"],
)
def test_what_cannot_be_cut_is_one_clear_error(tmp_path: Path, content: bytes, how: dict[str, int], told: str) -> None:
    with pytest.raises(DataError) as caught:
        cut(tmp_path, {"a.png": content}, **how)  # type: ignore[arg-type]
    assert str(caught.value).startswith(told)
