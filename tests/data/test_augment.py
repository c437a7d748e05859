"""Crops, erasing and the two policies, against values worked out by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wavemix.data.augment import (
    OPERATIONS,
    RAND_AUGMENT,
    SIGNED,
    TRIVIAL_AUGMENT,
    Canvas,
    rand_augment,
    random_erasing,
    random_resized_crop,
    side_for_crops,
    trivial_augment_wide,
)
from wavemix.data.transforms import resize

TIMM_CROP = {"scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)}
TIMM_RAND = {"num_ops": 2, "magnitude": 9.0, "magnitude_std": 0.5, "fill": (124, 116, 104)}


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)


def operate(name: str, image: np.ndarray, amount: float, resample: int = Image.Resampling.NEAREST) -> np.ndarray:
    canvas = Canvas((1, 2, 3), Image.Resampling(resample))
    return np.asarray(OPERATIONS[name](Image.fromarray(image), amount, canvas))


# --- operations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "amount", "before", "after"),
    [
        ("identity", 0, (10, 100, 200), (10, 100, 200)),
        ("invert", 0, (10, 100, 200), (245, 155, 55)),
        ("posterize", 1, (10, 127, 200), (0, 0, 128)),
        ("posterize", 4, (10, 127, 200), (0, 112, 192)),
        ("posterize", 8, (10, 127, 200), (10, 127, 200)),
        ("solarize", 128, (10, 127, 128), (10, 127, 127)),
        ("solarize", 0, (10, 127, 128), (245, 128, 127)),
        ("solarize", 256, (10, 127, 255), (10, 127, 255)),
        ("solarize_add", 99, (10, 127, 128), (109, 226, 128)),
        ("brightness", -0.5, (10, 100, 200), (5, 50, 100)),
        ("brightness", 0.9, (10, 100, 200), (19, 190, 255)),
        ("color", -1, (200, 100, 50), (124, 124, 124)),  # 0.299 * 200 + 0.587 * 100 + 0.114 * 50
        ("color", -0.5, (200, 100, 50), (162, 112, 87)),
        ("contrast", -1, (200, 100, 50), (124, 124, 124)),
        ("sharpness", 0.9, (200, 100, 50), (200, 100, 50)),
    ],
)
def test_operations_on_one_colour(
    name: str, amount: float, before: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    image = np.full((5, 5, 3), before, np.uint8)
    assert operate(name, image, amount)[2, 2].tolist() == list(after)


def test_auto_contrast_spreads_each_channel_over_all_values() -> None:
    image = np.repeat(np.array([[50, 100, 150]], np.uint8)[:, :, None], 3, axis=2)
    assert operate("auto_contrast", image, 0)[0, :, 0].tolist() == [0, 127, 255]


def test_equalize_makes_all_values_equally_frequent() -> None:
    stripes = np.repeat(np.array([[10, 11, 12, 40]], np.uint8), 255, axis=0)
    equalized = operate("equalize", np.repeat(stripes[:, :, None], 3, axis=2), 0)
    assert equalized[0, :, 0].tolist() == [0, 85, 170, 255]


def test_contrast_draws_towards_the_mean_of_the_picture() -> None:
    image = np.repeat(np.array([[0, 200]], np.uint8)[:, :, None], 3, axis=2)  # mean 100
    assert operate("contrast", image, -0.5)[0, :, 0].tolist() == [50, 150]


def test_sharpness_below_one_smoothes() -> None:
    image = np.zeros((5, 5, 3), np.uint8)
    image[2, 2] = 130  # the kernel is 5 in the middle and 1 around, of 13
    smoothed = operate("sharpness", image, -1)
    assert smoothed[1:4, 1:4, 0].tolist() == [[10, 10, 10], [10, 50, 10], [10, 10, 10]]


@pytest.mark.parametrize("name", ["translate_x", "translate_x_share"])
def test_moving_shows_the_colour_behind(name: str, image: np.ndarray) -> None:
    square = image[:8, :8]
    moved = operate(name, square, 2 if name == "translate_x" else 0.25, Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(moved[:, :6], square[:, 2:])
    assert (moved[:, 6:] == (1, 2, 3)).all()
    turned = operate(name.replace("_x", "_y"), square.swapaxes(0, 1), 2 if name == "translate_x" else 0.25)
    np.testing.assert_array_equal(turned.swapaxes(0, 1), moved)


def test_a_quarter_turn(image: np.ndarray) -> None:
    np.testing.assert_array_equal(operate("rotate", image[:8, :8], 90), np.rot90(image[:8, :8]))


def test_shearing_moves_each_row_by_its_height(image: np.ndarray) -> None:
    sheared = operate("shear_x", image, 0.5)
    for row in range(12):
        shift = round((row + 0.5) * 0.5 + 1e-9)  # of the pixel's middle
        np.testing.assert_array_equal(sheared[row, : 17 - shift], image[row, shift:])
        assert (sheared[row, 17 - shift :] == (1, 2, 3)).all()
    flipped = operate("shear_y", np.ascontiguousarray(image.swapaxes(0, 1)), 0.5)
    np.testing.assert_array_equal(flipped.swapaxes(0, 1), sheared)


# --- policies ------------------------------------------------------------------------------------------------------


def test_the_amounts_of_rand_augment_are_those_of_timm() -> None:
    at_9 = {name: pytest.approx(amount(0.9)) for name, amount in RAND_AUGMENT.items()}
    assert at_9 == {
        **dict.fromkeys(("auto_contrast", "equalize", "invert"), 0),
        **dict.fromkeys(("color", "contrast", "brightness", "sharpness"), 0.81),
        **dict.fromkeys(("shear_x", "shear_y"), 0.27),
        **dict.fromkeys(("translate_x_share", "translate_y_share"), 0.405),
        "rotate": 27,
        "posterize": 1,
        "solarize": 26,
        "solarize_add": 99,
    }
    assert [RAND_AUGMENT["posterize"](level / 10) for level in range(11)] == [4, 4, 4, 3, 3, 2, 2, 2, 1, 1, 1]


def test_the_amounts_of_trivial_augment_wide_are_those_of_the_paper() -> None:
    at_most = {name: pytest.approx(amount(1)) for name, amount in TRIVIAL_AUGMENT.items()}
    assert at_most == {
        **dict.fromkeys(("identity", "auto_contrast", "equalize"), 0),
        **dict.fromkeys(("color", "contrast", "brightness", "sharpness"), 0.99),
        **dict.fromkeys(("shear_x", "shear_y"), 0.99),
        **dict.fromkeys(("translate_x", "translate_y"), 32),
        "rotate": 135,
        "posterize": 2,
        "solarize": 0,
    }
    assert [TRIVIAL_AUGMENT["posterize"](level / 30) for level in (0, 2, 3, 30)] == [8, 8, 7, 2]


@pytest.mark.parametrize("policy", [RAND_AUGMENT, TRIVIAL_AUGMENT])
def test_every_amount_of_a_policy_can_be_applied(
    policy: dict[str, Callable[[float], float]], image: np.ndarray
) -> None:
    for name, amount in policy.items():
        for level in (0.0, 0.5, 1.0):
            for sign in (1, -1) if name in SIGNED else (1,):
                changed = operate(name, image, sign * amount(level))
                assert (changed.shape, changed.dtype) == (image.shape, image.dtype)


def test_rand_augment_does_every_second_operation() -> None:
    image = np.random.default_rng(0).integers(60, 180, (24, 24, 3), dtype=np.uint8)  # changed by every operation
    for num_ops, expected in ((1, 0.5), (2, 0.75)):
        how = {**TIMM_RAND, "num_ops": num_ops}
        pictures = [rand_augment(image, np.random.default_rng(seed), **how) for seed in range(1000)]
        assert np.mean([not np.array_equal(one, image) for one in pictures]) == pytest.approx(expected, abs=0.05)


def test_the_magnitude_varies_and_has_both_signs() -> None:
    grey = np.full((6, 6, 3), 128, np.uint8)
    pictures = [rand_augment(grey, np.random.default_rng(seed), **{**TIMM_RAND, "num_ops": 1}) for seed in range(600)]
    flat = {int(picture[0, 0, 0]) for picture in pictures if picture.min() == picture.max()}
    brighter = {level for level in flat if level > 228}  # 128 * (1 + 0.09 m), m about 9
    darker = {level for level in flat if level < 50}
    assert len(brighter) > 3
    assert len(darker) > 3


def test_what_comes_in_from_outside_has_the_colour_asked_for() -> None:
    white = np.full((8, 8, 3), 255, np.uint8)
    fill = {"num_ops": 1, "magnitude": 10.0, "magnitude_std": 0.0, "fill": (0, 200, 0)}
    pictures = [rand_augment(white, np.random.default_rng(seed), **fill) for seed in range(100)]
    assert any((picture == (0, 200, 0)).all(axis=2).any() for picture in pictures)


POLICIES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "rand": lambda image, generator: rand_augment(image, generator, **TIMM_RAND),
    "trivial": trivial_augment_wide,
    "crop": lambda image, generator: random_resized_crop(image, generator, size=8, **TIMM_CROP),
    "erase": lambda image, generator: random_erasing(image, generator, prob=0.5, mean=(0.5,) * 3, std=(0.2,) * 3),
}


@pytest.mark.parametrize("name", POLICIES)
def test_the_generator_decides_everything_and_the_picture_given_stays(name: str, image: np.ndarray) -> None:
    before = image.copy()
    image.flags.writeable = False  # as a decoder may give it
    first = [POLICIES[name](image, np.random.default_rng([0, number])) for number in range(40)]
    again = [POLICIES[name](image, np.random.default_rng([0, number])) for number in reversed(range(40))][::-1]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len({one.tobytes() for one in first}) > 10
    assert {one.dtype for one in first} == {np.dtype(np.uint8)}
    np.testing.assert_array_equal(image, before)


# --- crops ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(8, 8), (3, 5), (17, 100), (100, 17), (1, 1), (1, 40)])
def test_any_picture_is_cropped_to_a_square(height: int, width: int) -> None:
    crop = random_resized_crop(np.full((height, width, 3), 77, np.uint8), np.random.default_rng(0), size=8, **TIMM_CROP)
    assert crop.shape == (8, 8, 3)
    assert (crop == 77).all()


def test_a_crop_of_a_quarter_is_found_everywhere() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    parts = {image[top : top + 4, left : left + 4].tobytes() for top in range(5) for left in range(5)}
    crops = {
        random_resized_crop(image, np.random.default_rng(seed), size=4, scale=(0.25, 0.25), ratio=(1.0, 1.0)).tobytes()
        for seed in range(300)
    }
    assert crops == parts


def test_the_whole_picture_is_the_largest_crop(image: np.ndarray) -> None:
    square = image[:12, :12]
    crop = random_resized_crop(square, np.random.default_rng(0), size=7, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    np.testing.assert_array_equal(crop, resize(square, (7, 7), exact=False))


def test_where_no_crop_fits_it_is_the_largest_in_the_middle() -> None:
    wide = np.random.default_rng(0).integers(0, 256, (8, 100, 3), dtype=np.uint8)
    how: dict[str, Any] = {"size": 8, "scale": (1.0, 1.0)}
    crop = random_resized_crop(wide, np.random.default_rng(0), **how, ratio=(1.0, 2.0))
    np.testing.assert_array_equal(crop, resize(wide[:, 42:58], (8, 8), exact=False))
    high = np.ascontiguousarray(wide.swapaxes(0, 1))
    crop = random_resized_crop(high, np.random.default_rng(0), **how, ratio=(0.5, 1.0))
    np.testing.assert_array_equal(crop, resize(high[42:58], (8, 8), exact=False))


def test_pictures_may_be_decoded_down_to_what_the_smallest_crop_needs() -> None:
    assert side_for_crops(224, scale=(1.0, 1.0), ratio=(1.0, 1.0)) == 224
    assert side_for_crops(100, scale=(0.25, 1.0), ratio=(1.0, 1.0)) == 200
    assert side_for_crops(100, scale=(0.25, 1.0), ratio=(0.25, 1.0)) == 400
    assert side_for_crops(224, **TIMM_CROP) == 915  # 224 / sqrt(0.08 * 3 / 4)


# --- erasing -------------------------------------------------------------------------------------------------------

NOISE = {"mean": (0.5, 0.4, 0.3), "std": (0.1, 0.05, 0.02)}


def test_never_erasing_leaves_the_picture(image: np.ndarray) -> None:
    assert random_erasing(image, np.random.default_rng(0), prob=0.0, **NOISE) is image


def test_a_box_is_erased_by_noise_of_the_given_mean_and_deviation() -> None:
    black = np.zeros((60, 80, 3), np.uint8)
    values, shares = [], []
    for seed in range(60):
        erased = random_erasing(black, np.random.default_rng(seed), prob=1.0, **NOISE)
        changed = erased.any(axis=2)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        box = changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert box.all()
        shares.append(box.size / changed.size)
        values.append(erased[changed])
    assert min(shares) > 0.015
    assert max(shares) < 0.35
    assert max(shares) - min(shares) > 0.2
    noise = np.concatenate(values) / 255
    np.testing.assert_allclose(noise.mean(axis=0), NOISE["mean"], atol=0.002)
    np.testing.assert_allclose(noise.std(axis=0), NOISE["std"], rtol=0.02)


def test_noise_stays_within_black_and_white_and_takes_one_channel_too() -> None:
    grey = np.full((20, 20, 1), 9, np.uint8)
    erased = random_erasing(grey, np.random.default_rng(0), prob=1.0, mean=(0.5,), std=(2.0,))
    assert erased.shape == (20, 20, 1)
    assert {int(erased.min()), int(erased.max())} == {0, 255}


def test_the_probability_is_that_of_erasing(image: np.ndarray) -> None:
    erased = [
        random_erasing(image, np.random.default_rng(seed), prob=0.25, **NOISE) is not image for seed in range(400)
    ]
    assert 0.19 < np.mean(erased) < 0.31
