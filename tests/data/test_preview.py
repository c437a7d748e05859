"""The contact sheet: where pictures, colours and words stand, and that nothing runs over."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from wavemix.data.preview import BEHIND, GAP, LINE, MARGIN, contact_sheet
from wavemix.data.schema import IGNORED, ImagePair, LabelledImage, MaskedImage, PlainImage, Sample

UInt8Image = NDArray[np.uint8]

TILE = 160
CELL = TILE + GAP + 2 * LINE  # a tile and two lines below it


def noise(height: int, width: int, seed: int = 0) -> UInt8Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def panel(sheet: UInt8Image, index: int, *, row: int = 0, tile: int = TILE) -> UInt8Image:
    """The panel of that number within the first sample of a row."""
    top, left = MARGIN + row * (CELL - TILE + tile + MARGIN), MARGIN + index * (tile + GAP)
    return sheet[top : top + tile, left : left + tile]


def below(sheet: UInt8Image, panels: int = 1) -> UInt8Image:
    """The two lines below the first sample, from the sheet's edge to the next sample."""
    width = panels * (TILE + GAP) - GAP
    return sheet[MARGIN + TILE : MARGIN + CELL, : MARGIN + width + MARGIN]


def masked(mask: UInt8Image, key: str = "a") -> MaskedImage:
    return MaskedImage(key, noise(*mask.shape), mask)


def test_a_grid_of_as_many_columns() -> None:
    samples = [LabelledImage(f"{index:04d}", noise(8, 8, index), index % 3) for index in range(11)]
    sheet = contact_sheet(samples, ["ant", "bee", "cat"], columns=4)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (MARGIN + 3 * (CELL + MARGIN), MARGIN + 4 * (TILE + MARGIN), 3)
    np.testing.assert_array_equal(panel(sheet, 0, row=2), noise(8, 8, 8).repeat(20, axis=0).repeat(20, axis=1))
    last_empty = sheet[MARGIN + 2 * (CELL + MARGIN) :, MARGIN + 3 * (TILE + MARGIN) :]
    assert (last_empty == 255).all()
    np.testing.assert_array_equal(sheet, contact_sheet(samples, ["ant", "bee", "cat"], columns=4))


def test_few_samples_make_a_narrow_sheet() -> None:
    assert contact_sheet([PlainImage("a", noise(8, 8))], ()).shape == (2 * MARGIN + CELL, 2 * MARGIN + TILE, 3)
    assert contact_sheet([PlainImage("a", noise(8, 8))], (), columns=0, tile=64).shape[1] == 2 * MARGIN + 64


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((8, 8), (160, 160)),
        ((28, 28), (140, 140)),  # five times: a pixel is as large as any other
        ((50, 100), (50, 100)),
        ((160, 3), (160, 3)),
        ((320, 640), (80, 160)),
        ((640, 320), (160, 80)),
        ((2, 1000), (1, 160)),
        ((1, 1), (160, 160)),
    ],
)
def test_a_picture_fits_into_the_middle_of_its_tile(size: tuple[int, int], shown: tuple[int, int]) -> None:
    sheet = contact_sheet([PlainImage("a", np.zeros((*size, 3), np.uint8))], ())
    black = (panel(sheet, 0) == 0).all(axis=2)
    rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
    assert (len(rows), len(columns)) == shown
    assert rows[0] == (TILE - shown[0]) // 2
    assert columns[0] == (TILE - shown[1]) // 2
    assert (panel(sheet, 0)[~black] == BEHIND).all()


def test_words_stand_below_in_dark_on_light() -> None:
    sheets = {
        words: contact_sheet([LabelledImage(key, noise(8, 8), 1)], ["ant", name])
        for words in itertools.product(["one", "two"], ["bee", "bees"])
        for key, name in [words]
    }
    for one, other in itertools.combinations(sheets.values(), 2):
        assert (below(one) != below(other)).any()
        np.testing.assert_array_equal(panel(one, 0), panel(other, 0))
    for sheet in sheets.values():
        assert below(sheet).min() < 100
        assert np.median(below(sheet)) == 255


def test_a_class_without_a_name_is_its_index() -> None:
    unnamed = contact_sheet([LabelledImage("a", noise(8, 8), 2)], ["ant"])
    np.testing.assert_array_equal(unnamed, contact_sheet([LabelledImage("a", noise(8, 8), 0)], ["2"]))


def test_long_words_are_cut_at_the_start_of_a_key_and_the_end_of_a_name() -> None:
    def shown(key: str, name: str) -> UInt8Image:
        return below(contact_sheet([LabelledImage(key, noise(8, 8), 0)], [name]))

    sheet = shown("n01440764/" * 20 + "0001", "great white shark, " * 20)
    assert (sheet[:, :MARGIN] == 255).all()
    assert (sheet[:, MARGIN + TILE + 1 :] == 255).all()
    np.testing.assert_array_equal(sheet, shown("n01440764/" * 30 + "0001", "great white shark, " * 30 + "end"))
    assert (sheet != shown("n01440764/" * 20 + "0002", "great white shark, " * 20)).any()
    assert (sheet != shown("n01440764/" * 20 + "0001", "brown bear, " * 20)).any()
    shown("", "")


def test_a_mask_lies_over_its_picture_with_255_left_out() -> None:
    mask = np.zeros((160, 160), np.uint8)
    mask[:, 40:80], mask[:, 80:] = 1, IGNORED
    sheet = contact_sheet([masked(mask)], ["ant", "bee"])
    plain, covered = panel(sheet, 0).astype(int), panel(sheet, 1).astype(int)
    np.testing.assert_array_equal(plain, noise(160, 160))
    np.testing.assert_array_equal(covered[:, 80:], plain[:, 80:])
    for part in (slice(0, 40), slice(40, 80)):  # half-transparent: the picture's noise is still there, but less of it
        assert 0.3 < covered[:, part].std(axis=(0, 1)).mean() / plain[:, part].std(axis=(0, 1)).mean() < 0.6
    assert np.abs(covered[:, :40].mean(axis=(0, 1)) - covered[:, 40:80].mean(axis=(0, 1))).max() > 40


def test_neighbouring_classes_differ_in_colour() -> None:
    mask = np.arange(20, dtype=np.uint8).repeat(8)[None].repeat(160, axis=0)
    grey = MaskedImage("a", np.full((160, 160, 3), 128, np.uint8), mask)
    colours = panel(contact_sheet([grey], ()), 1)[0, ::8].astype(int)
    distances = [np.abs(one - other).sum() for one, other in itertools.combinations(colours, 2)]
    assert min(distances) > 20


def test_colours_are_explained_at_the_bottom() -> None:
    names = [f"class number {index}" for index in range(40)]
    none = contact_sheet([masked(np.full((16, 16), IGNORED, np.uint8))], names)
    assert none.shape[0] == 2 * MARGIN + CELL
    few = contact_sheet([masked(np.array([[0, 1], [2, IGNORED]], np.uint8))], names)
    assert few.shape[0] > none.shape[0]
    many = contact_sheet([masked(np.arange(40, dtype=np.uint8).reshape(4, 10))], names)
    assert many.shape[0] > few.shape[0]
    assert (many[:, :MARGIN] == 255).all()
    assert (many[:, -MARGIN:] == 255).all()
    assert (many[-MARGIN:] == 255).all()


def test_the_middle_of_a_pair_is_shown_pixel_by_pixel() -> None:
    low, scale = noise(100, 80), 4
    high = low.repeat(scale, axis=0).repeat(scale, axis=1)
    sheet = contact_sheet([ImagePair("a", high, {scale: low})], ())
    assert sheet.shape[1] == 2 * MARGIN + 3 * TILE + 2 * GAP
    middle = high[30 * scale : 70 * scale, 20 * scale : 60 * scale]
    np.testing.assert_array_equal(panel(sheet, 1), middle)
    np.testing.assert_array_equal(panel(sheet, 2), middle)
    shifted = contact_sheet([ImagePair("a", np.roll(high, 1, axis=1), {scale: low})], ())
    np.testing.assert_array_equal(panel(shifted, 1), middle)
    assert (panel(shifted, 2) != middle).any()


@pytest.mark.parametrize(
    ("size", "scale", "tile"), [((3, 5), 2, 160), ((1, 1), 4, 160), ((50, 50), 4, 3), ((90, 10), 3, 64)]
)
def test_a_small_pair_or_tile(size: tuple[int, int], scale: int, tile: int) -> None:
    low = noise(*size)
    high = low.repeat(scale, axis=0).repeat(scale, axis=1)
    sheet = contact_sheet([ImagePair("a", high, {scale: low})], (), tile=tile)
    np.testing.assert_array_equal(panel(sheet, 1, tile=tile), panel(sheet, 2, tile=tile))


def test_nothing_to_show() -> None:
    with pytest.raises(ValueError, match="no sample"):
        contact_sheet([], ["ant"])


def test_a_sample_of_another_kind() -> None:
    class Video:
        def fields(self) -> dict[str, NDArray[np.generic]]:
            return {}

    video: Sample = Video()
    with pytest.raises(ValueError, match="no preview of a Video"):
        contact_sheet([video], ())
