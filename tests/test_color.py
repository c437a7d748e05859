"""Colours against numbers worked out by hand, and scikit-image."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr

from wavemix.color import luma, rgb_to_ycbcr, studio_luma, ycbcr_to_rgb

# Y, Cb and Cr as kornia defines them: Cb = (B - Y) * 0.564 + 0.5, Cr = (R - Y) * 0.713 + 0.5.
BY_HAND = {
    "black": ((0.0, 0.0, 0.0), (0.0, 0.5, 0.5)),
    "white": ((1.0, 1.0, 1.0), (1.0, 0.5, 0.5)),
    "red": ((1.0, 0.0, 0.0), (0.299, 0.331364, 0.999813)),
    "green": ((0.0, 1.0, 0.0), (0.587, 0.168932, 0.081469)),
    "blue": ((0.0, 0.0, 1.0), (0.114, 0.999704, 0.418718)),
}


def pixel(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1)


@pytest.fixture
def rgb_b3hw() -> torch.Tensor:
    return torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("name", BY_HAND)
def test_colours_by_hand_there_and_back(name: str) -> None:
    rgb, ycbcr = (pixel(values) for values in BY_HAND[name])
    torch.testing.assert_close(rgb_to_ycbcr(rgb), ycbcr, atol=1e-12, rtol=0)
    torch.testing.assert_close(ycbcr_to_rgb(ycbcr), rgb, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_the_inverse_is_exact(rgb_b3hw: torch.Tensor, dtype: torch.dtype, atol: float) -> None:
    there_and_back = ycbcr_to_rgb(rgb_to_ycbcr(rgb_b3hw.to(dtype)))
    assert there_and_back.dtype == dtype
    torch.testing.assert_close(there_and_back, rgb_b3hw.to(dtype), atol=atol, rtol=0)


def test_every_byte_survives_the_way_there_and_back() -> None:
    """So that a picture that nothing changed is scored as equal."""
    bytes_b3hw = torch.randint(0, 256, (1, 3, 500, 500), generator=torch.Generator().manual_seed(0)).float()
    assert torch.equal((ycbcr_to_rgb(rgb_to_ycbcr(bytes_b3hw / 255)) * 255).round(), bytes_b3hw)


def test_luma_keeps_the_range_and_the_values_of_grey() -> None:
    grey_b3hw = torch.arange(256, dtype=torch.float64).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    torch.testing.assert_close(luma(grey_b3hw), grey_b3hw[:, :1])


@pytest.mark.parametrize(
    ("colour", "y"), [("black", 16), ("white", 235), ("red", 81.481), ("green", 144.553), ("blue", 40.966)]
)
def test_studio_luma_by_hand(colour: str, y: float) -> None:
    assert float(studio_luma(pixel(BY_HAND[colour][0]))) == pytest.approx(y, abs=1e-12)


def test_studio_luma_equals_scikit_image(rgb_b3hw: torch.Tensor) -> None:
    expected_bhw = rgb2ycbcr(rgb_b3hw.permute(0, 2, 3, 1).numpy())[..., 0]
    np.testing.assert_allclose(studio_luma(rgb_b3hw)[:, 0].numpy(), expected_bhw, rtol=1e-12)
