"""Bicubic resizing beside MATLAB's: weights by hand, and published pairs, pixel for pixel."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wavemix.data.resize import crop_to_multiple, imresize, resize_axis

REFERENCE = Path(os.environ.get("WAVEMIX_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))
BORDER = 4

# Keys' kernel (a = -1/2) at 1/4, 3/4, 5/4 and 7/4, halved because it is spread over twice the width.
HALF = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256


@pytest.mark.parametrize("scale", [1 / 2, 1 / 3, 1 / 4, 2.0, 3.0])
def test_a_constant_picture_stays_constant(scale: float) -> None:
    image = np.full((24, 12, 3), 77, np.uint8)
    resized = imresize(image, scale)
    assert resized.shape == (24 * scale, 12 * scale, 3)
    assert (resized == 77).all()


def test_the_weights_inside_are_the_kernels() -> None:
    image = np.zeros((20, 20))
    image[10, 10] = 1
    weights = {row: HALF[10 - 2 * row + 3] for row in range(10) if 0 <= 10 - 2 * row + 3 < 8}
    expected = np.zeros((10, 10))
    for row, down in weights.items():
        for column, across in weights.items():
            expected[row, column] = down * across
    np.testing.assert_allclose(imresize(image, 1 / 2), expected, atol=1e-15)


def test_the_border_is_mirrored_with_its_last_pixel() -> None:
    line = np.arange(8.0)
    mirrored = np.array([2, 1, 0, 0, 1, 2, 3, 4])  # what the first pixel of the half is made of
    resized = resize_axis(line[None], 1, 1 / 2)
    np.testing.assert_allclose(resized[0, 0], HALF @ mirrored, atol=1e-15)
    np.testing.assert_allclose(resized[0, ::-1], 7 - resized[0], atol=1e-14)


def test_a_picture_smaller_than_the_kernel_is_mirrored_again_and_again() -> None:
    mirrored = np.array([9, 9, 1, 1, 9, 9, 1, 1])  # 1 9 | 9 1 | 1 9 | ...: three to the left of it, and four behind
    resized = resize_axis(np.array([[1.0, 9.0]]), 1, 1 / 2)
    np.testing.assert_allclose(resized, [[HALF @ mirrored]], atol=1e-15)


def test_enlarging_uses_the_kernel_as_it_is() -> None:
    image = np.zeros((1, 9))
    image[0, 4] = 1
    at = np.array([1.75, 1.25, 0.75, 0.25, 0.25, 0.75, 1.25, 1.75])
    kernel = np.where(at < 1, 1.5 * at**3 - 2.5 * at**2 + 1, -0.5 * at**3 + 2.5 * at**2 - 4 * at + 2)
    np.testing.assert_allclose(resize_axis(image, 1, 2.0)[0, 5:13], kernel, atol=1e-15)


def test_bytes_are_rounded_half_up_and_clipped() -> None:
    steps = np.zeros((16, 16), np.uint8)
    steps[:, 8:] = 255
    exact = imresize(steps.astype(np.float64), 1 / 2)
    assert exact.min() < -1
    assert exact.max() > 256
    np.testing.assert_array_equal(imresize(steps, 1 / 2), np.floor(exact + 0.5).clip(0, 255))
    assert imresize(np.array([[0, 1], [0, 1]], np.uint8), 1 / 2).tolist() == [[1]]


def test_floats_keep_their_type() -> None:
    image = np.random.default_rng(0).random((12, 12, 3))
    assert imresize(image, 1 / 3).dtype == np.float64
    assert imresize(image.astype(np.float32), 1 / 3).dtype == np.float32
    np.testing.assert_allclose(imresize(image.astype(np.float32), 1 / 3), imresize(image, 1 / 3), atol=1e-6)


def test_sides_are_divided_without_a_pixel_too_many() -> None:
    for side in range(3, 3000, 3):
        assert resize_axis(np.zeros((1, side)), 1, 1 / 3).shape == (1, side // 3)
    assert resize_axis(np.zeros((1, 10)), 1, 1 / 3).shape == (1, 4)


def test_cropping_leaves_the_top_left() -> None:
    image = np.arange(7 * 9).reshape(7, 9).astype(np.uint8)
    np.testing.assert_array_equal(crop_to_multiple(image, 4), image[:4, :8])
    assert crop_to_multiple(image[:6], 3).shape == (6, 9)


@pytest.mark.skipif(not (REFERENCE / "sr_benchmarks").is_dir(), reason="WAVEMIX_REFERENCE_DATA has no sr_benchmarks/")
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_published_pairs_are_met_pixel_for_pixel(scale: int) -> None:
    """They were made by an older imresize: it repeats the border's pixels and rounds after each direction."""
    compared = 0
    for path in sorted((REFERENCE / "sr_benchmarks").glob(f"*/image_SRF_{scale}/*_HR.png")):
        high, low = (np.asarray(Image.open(one)) for one in (path, str(path).replace("_HR", "_LR")))
        margin = BORDER * scale
        padded = np.pad(high, [(margin, margin)] * 2 + [(0, 0)] * (high.ndim - 2), mode="edge")
        made = resize_axis(resize_axis(padded, 0, 1 / scale), 1, 1 / scale)[BORDER:-BORDER, BORDER:-BORDER]
        np.testing.assert_array_equal(made, low, err_msg=str(path))
        compared += 1
    assert compared == 5 + 14


@pytest.mark.skipif(not (REFERENCE / "sr_benchmarks").is_dir(), reason="WAVEMIX_REFERENCE_DATA has no sr_benchmarks/")
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_rounding_once_is_near_to_published_pairs(scale: int) -> None:
    for path in sorted((REFERENCE / "sr_benchmarks" / "Set5").glob(f"image_SRF_{scale}/*_HR.png")):
        high, low = (np.asarray(Image.open(one)).astype(float) for one in (path, str(path).replace("_HR", "_LR")))
        made = imresize(high.astype(np.uint8), 1 / scale).astype(float)
        difference = np.abs(made - low)[BORDER:-BORDER, BORDER:-BORDER]
        assert np.mean(difference <= 1) > 0.999
        assert 10 * np.log10(255**2 / np.mean(difference**2)) > 50
