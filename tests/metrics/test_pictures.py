"""PSNR and SSIM against values worked out by hand, scikit-image, torchmetrics, and however the pictures are split."""

import math

import numpy as np
import pytest
import torch
import torchmetrics.functional.image as reference
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from wavemix.metrics import Ratio, psnr, ssim

WINDOW = 11


def value(tally: Ratio) -> float:
    return float(tally.value)


@pytest.fixture(params=[1, 3], ids=["one channel", "three channels"])
def many(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor]:
    """Six pictures in 0..255 with more and more noise."""
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(6, request.param, 24, 31, generator=generator) * 255
    noise = torch.randn(target.shape, generator=generator) * torch.arange(5.0, 35.0, 5.0).view(6, 1, 1, 1)
    return (target + noise).clamp(0, 255), target


def test_psnr_by_hand() -> None:
    target = torch.zeros(2, 1, 2, 2)
    prediction = target.clone()
    prediction[0, 0, 0, 0] = 255  # MSE 255^2 / 4
    prediction[1] = 25.5  # MSE 255^2 / 100
    assert value(psnr(prediction, target)) == pytest.approx((10 * math.log10(4) + 20) / 2)


def test_it_is_the_mean_of_each_picture_and_not_that_of_the_mean_error() -> None:
    target = torch.zeros(2, 3, 4, 4)
    prediction = torch.tensor([1.0, 100.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    one, other = 20 * math.log10(255), 20 * math.log10(2.55)
    assert value(psnr(prediction, target)) == pytest.approx((one + other) / 2)


def test_ssim_of_even_pictures_by_hand() -> None:
    """Without any structure only the means count: (2ab + C1) / (a^2 + b^2 + C1)."""
    one, other = torch.full((1, 1, 12, 13), 100.0), torch.full((1, 1, 12, 13), 50.0)
    c1 = (0.01 * 255) ** 2
    assert value(ssim(one, other)) == pytest.approx((2 * 100 * 50 + c1) / (100**2 + 50**2 + c1), rel=1e-12)


def test_ssim_of_one_window_by_hand() -> None:
    """Eleven by eleven pixels are one place, whose moments are plain sums over the Gaussian window."""
    x, y = np.random.default_rng(0).random((2, WINDOW, WINDOW)) * 255
    at = np.arange(WINDOW) - 5
    window = np.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    of_x, of_y = (window * x).sum(), (window * y).sum()
    var_x, var_y = (window * (x - of_x) ** 2).sum(), (window * (y - of_y) ** 2).sum()
    both = (window * (x - of_x) * (y - of_y)).sum()
    c1, c2 = 2.55**2, 7.65**2
    expected = (2 * of_x * of_y + c1) * (2 * both + c2) / ((of_x**2 + of_y**2 + c1) * (var_x + var_y + c2))
    assert value(ssim(torch.tensor(x)[None, None], torch.tensor(y)[None, None])) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("border", [0, 3])
def test_both_equal_scikit_image(many: tuple[torch.Tensor, torch.Tensor], border: int) -> None:
    inner = [picture[..., border : 24 - border, border : 31 - border].double().numpy() for picture in many]
    ratios, similarities = [], []
    for prediction, target in zip(*inner, strict=True):
        ratios.append(peak_signal_noise_ratio(target, prediction, data_range=255))
        for of_prediction, of_target in zip(prediction, target, strict=True):
            _, everywhere = structural_similarity(
                of_target,
                of_prediction,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=255,
                full=True,
            )
            similarities.append(everywhere[5:-5, 5:-5].mean())
    assert value(psnr(*many, border=border)) == pytest.approx(np.mean(ratios), rel=1e-10)
    assert value(ssim(*many, border=border)) == pytest.approx(np.mean(similarities), rel=1e-10)


def test_both_equal_torchmetrics(many: tuple[torch.Tensor, torch.Tensor]) -> None:
    prediction, target = (picture.double() for picture in many)
    expected = reference.peak_signal_noise_ratio(
        prediction, target, data_range=255.0, reduction="elementwise_mean", dim=(1, 2, 3)
    )
    assert value(psnr(*many)) == pytest.approx(float(expected), rel=1e-6)  # its peak is a single-precision number
    _, everywhere = reference.structural_similarity_index_measure(
        prediction, target, data_range=255.0, return_full_image=True
    )
    expected = everywhere[..., 5:-5, 5:-5].mean()  # it mirrors the border, and counts it since its version 1
    assert value(ssim(*many)) == pytest.approx(float(expected), rel=1e-10)


def test_the_border_does_not_count(many: tuple[torch.Tensor, torch.Tensor]) -> None:
    prediction, target = many
    spoilt = prediction.clone()
    spoilt[..., :2, :], spoilt[..., -2:, :], spoilt[..., :2], spoilt[..., -2:] = 0, 0, 0, 0
    for metric in (psnr, ssim):
        assert value(metric(spoilt, target, border=2)) == value(metric(prediction, target, border=2))
        assert value(metric(spoilt, target, border=1)) < value(metric(prediction, target, border=1))


@pytest.mark.parametrize("sizes", [[1] * 6, [5, 1]])
def test_sums_do_not_depend_on_the_batches(many: tuple[torch.Tensor, torch.Tensor], sizes: list[int]) -> None:
    for metric in (psnr, ssim):
        first, *others = (metric(*parts) for parts in zip(*(picture.split(sizes) for picture in many), strict=True))
        for other in others:
            first += other
        assert value(first) == pytest.approx(value(metric(*many)), rel=1e-12)


def test_an_equal_picture_has_an_infinite_psnr_and_so_has_the_mean(many: tuple[torch.Tensor, torch.Tensor]) -> None:
    prediction, target = many
    prediction = torch.cat((target[:1], prediction[1:]))
    assert value(psnr(prediction, target)) == math.inf
    assert value(psnr(prediction[1:], target[1:]) + psnr(prediction[:1], target[:1])) == math.inf
    assert value(ssim(target, target)) == pytest.approx(1, rel=1e-12)


def test_no_picture_counts_as_nothing(many: tuple[torch.Tensor, torch.Tensor]) -> None:
    prediction, target = many
    for metric in (psnr, ssim):
        nothing = metric(prediction[:0], target[:0])
        assert math.isnan(value(nothing))
        assert value(nothing + metric(prediction, target)) == value(metric(prediction, target))


def test_a_small_error_in_single_precision_is_still_seen() -> None:
    """256 * 256 pixels off by 0.1: the squares would lose digits if they were summed in single precision."""
    target = torch.full((1, 1, 256, 256), 200.0)
    prediction = target + 0.125
    assert value(psnr(prediction, target)) == pytest.approx(20 * math.log10(255 / 0.125), rel=1e-12)


def test_a_picture_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^SSIM needs 11x11 pixels within the border, found 12x10$"):
        ssim(torch.zeros(1, 1, 14, 16), torch.zeros(1, 1, 14, 16), border=2)
