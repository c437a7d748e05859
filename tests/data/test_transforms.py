"""Size, channels and augmentation of pictures."""

import numpy as np
import pytest
from PIL import Image

from wavemix.data.transforms import augmenter, random_crop, resize, resize_and_crop, resize_mask, to_channels

PLAIN = {"shift": 0.0, "scale": 0.0, "rotate": 0.0, "horizontal_flip_prob": 0.0}


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (3, 5), (5, 3), (17, 100), (100, 17), (1, 1), (9, 8), (8, 9)])
@pytest.mark.parametrize("exact", [True, False])
def test_any_picture_becomes_a_square(height: int, width: int, exact: bool) -> None:
    result = resize_and_crop(np.full((height, width, 3), 77, np.uint8), 8, exact=exact)
    assert result.shape == (8, 8, 3)
    assert result.dtype == np.uint8
    assert (result == 77).all()


@pytest.mark.parametrize("exact", [True, False])
def test_a_picture_of_that_size_comes_back_as_it_is(image: np.ndarray, exact: bool) -> None:
    np.testing.assert_array_equal(resize_and_crop(image[:12, :12], 12, exact=exact), image[:12, :12])
    np.testing.assert_array_equal(resize_and_crop(image, 12, exact=exact), image[:, 2:14])


def test_the_shorter_side_decides_the_size(image: np.ndarray) -> None:
    whole = np.asarray(Image.fromarray(image).resize((round(17 * 6 / 12), 6), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(resize_and_crop(image, 6, exact=True), whole[:, 1:7])


@pytest.mark.parametrize("size", [5, 64, 100, 224])
def test_the_faster_way_differs_by_two_at_most(size: int) -> None:
    generator = np.random.default_rng(size)
    coarse = Image.fromarray(generator.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    for picture in (coarse, coarse.resize((600, 400), Image.Resampling.BICUBIC)):
        image = np.asarray(picture)
        exact, fast = (resize_and_crop(image, size, exact=exact).astype(int) for exact in (True, False))
        assert np.abs(exact - fast).max() <= 2
        assert (exact != fast).mean() < 0.05


def test_grey_keeps_the_values_of_a_grey_picture() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    result = to_channels(np.repeat(grey[:, :, None], 3, axis=2), 1)
    assert result.shape == (16, 16, 1)
    np.testing.assert_array_equal(result[:, :, 0], grey)


def test_grey_of_a_colour_is_its_luminance() -> None:
    grey = to_channels(np.full((2, 2, 3), (200, 100, 50), np.uint8), 1)
    assert grey.flatten().tolist() == [round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)] * 4


def test_three_channels_stay(image: np.ndarray) -> None:
    np.testing.assert_array_equal(to_channels(image, 3), image)


def test_no_augmentation_changes_nothing(image: np.ndarray) -> None:
    np.testing.assert_array_equal(augmenter(**PLAIN)(image, np.random.default_rng(0)), image)


def test_a_certain_flip_is_a_mirror_image(image: np.ndarray) -> None:
    flip = augmenter(**{**PLAIN, "horizontal_flip_prob": 1.0})
    np.testing.assert_array_equal(flip(image, np.random.default_rng(0)), image[:, ::-1])


def test_the_generator_decides_everything(image: np.ndarray) -> None:
    augment = augmenter(shift=0.2, scale=0.2, rotate=20.0, horizontal_flip_prob=0.5)
    first = [augment(image, np.random.default_rng([0, number])) for number in range(8)]
    augment(image, np.random.default_rng(99))  # whatever came before does not matter
    again = [augment(image, np.random.default_rng([0, number])) for number in reversed(range(8))][::-1]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len({one.tobytes() for one in first}) == 8
    assert all((one.shape, one.dtype) == (image.shape, image.dtype) for one in first)


@pytest.mark.parametrize("setting", ["shift", "scale", "rotate"])
def test_each_setting_has_an_effect_and_leaves_the_picture_given_alone(setting: str, image: np.ndarray) -> None:
    before = image.copy()
    amount = {"shift": 0.3, "scale": 0.3, "rotate": 30.0}[setting]
    changed = augmenter(**{**PLAIN, setting: amount})(image, np.random.default_rng(0))
    assert not np.array_equal(changed, image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("exact", [True, False])
def test_a_picture_and_its_mask_are_resized_to_the_same_places(exact: bool) -> None:
    mask = np.zeros((12, 16), np.uint8)
    mask[3:9, 4:10] = 1
    image = np.repeat(mask[:, :, None] * 255, 3, axis=2)
    larger, larger_mask = resize(image, (24, 48), exact=exact), resize_mask(mask, (24, 48))
    assert (larger.shape, larger_mask.shape) == ((24, 48, 3), (24, 48))
    assert (larger_mask[6:18, 12:30] == 1).all()
    assert larger_mask.sum() == 12 * 18
    np.testing.assert_array_equal(larger[:, :, 0] > 127, larger_mask == 1)


def test_a_mask_keeps_its_numbers_when_it_is_resized() -> None:
    mask = np.random.default_rng(0).choice(np.array([0, 7, 255], np.uint8), (30, 40))
    smaller = resize_mask(mask, (13, 17))
    assert smaller.shape == (13, 17)
    assert set(np.unique(smaller)) == {0, 7, 255}
    assert resize_mask(mask, (30, 40)) is mask


def test_resizing_takes_the_pixels_of_pillow_where_it_is_exact(image: np.ndarray) -> None:
    whole = np.asarray(Image.fromarray(image).resize((9, 7), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(resize(image, (7, 9), exact=True), whole)
    assert np.abs(resize(image, (7, 9), exact=False).astype(int) - whole).max() <= 2


def test_a_crop_takes_the_same_part_of_both_and_reaches_every_place(image: np.ndarray) -> None:
    mask = image[:, :, 0]  # so each of its numbers tells where it is from
    generator = np.random.default_rng(0)
    places = set()
    for _ in range(300):
        part, part_of_mask = random_crop(image, mask, (9, 14), generator, colour=(1, 2, 3), ignored=255)
        assert part.shape == (9, 14, 3)
        np.testing.assert_array_equal(part[:, :, 0], part_of_mask)
        places.add(part.tobytes())
    assert len(places) == 4 * 4


def test_what_is_too_small_for_a_crop_is_filled_up(image: np.ndarray) -> None:
    mask = np.zeros((12, 17), np.uint8)
    generator = np.random.default_rng(0)
    whole, whole_mask = random_crop(image, mask, (14, 17), generator, colour=(1, 2, 3), ignored=255)
    np.testing.assert_array_equal(whole[:12], image)
    assert (whole[12:] == (1, 2, 3)).all()
    assert (whole_mask[:12] == 0).all()
    assert (whole_mask[12:] == 255).all()
