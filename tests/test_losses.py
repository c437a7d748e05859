"""Losses against values worked out by hand."""

import math

import pytest
import torch

from wavemix.losses import binary_cross_entropy, cross_entropy, focal, huber, mixed_targets


def test_cross_entropy_is_the_mean_negative_logarithm_of_the_true_class() -> None:
    # softmax(ln 1, ln 3) = (1/4, 3/4); softmax(0, 0) = (1/2, 1/2)
    logits_bk = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    assert float(cross_entropy(logits_bk, torch.tensor([1, 0]))) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_label_smoothing_spreads_its_share_over_all_classes() -> None:
    # Target (0.1, 0.9) for probabilities (1/4, 3/4).
    logits_bk = torch.tensor([[0.0, math.log(3)]])
    smoothed = float(cross_entropy(logits_bk, torch.tensor([1]), label_smoothing=0.2))
    assert smoothed == pytest.approx(0.1 * math.log(4) + 0.9 * math.log(4 / 3))


def test_the_target_of_a_mixture_has_both_shares() -> None:
    target_bk = mixed_targets(torch.tensor([0, 2]), torch.tensor([1, 2]), torch.tensor([0.7, 0.6]), num_classes=3)
    assert torch.allclose(target_bk, torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.0, 1.0]]))


def test_cross_entropy_of_a_mixture_is_the_mixture_of_both() -> None:
    # Probabilities (1/4, 3/4), of which 0.8 and 0.2 are wanted; smoothed by half, 0.65 and 0.35.
    logits_bk, target_bk = torch.tensor([[0.0, math.log(3)]]), torch.tensor([[0.8, 0.2]])
    expected = 0.8 * math.log(4) + 0.2 * math.log(4 / 3)
    assert float(cross_entropy(logits_bk, target_bk)) == pytest.approx(expected)
    smoothed = float(cross_entropy(logits_bk, target_bk, label_smoothing=0.5))
    assert smoothed == pytest.approx(0.65 * math.log(4) + 0.35 * math.log(4 / 3))


def test_binary_cross_entropy_asks_of_each_class_whether_it_is_there() -> None:
    # sigmoid(0) = 1/2, sigmoid(ln 3) = 3/4, sigmoid(-ln 3) = 1/4; the second class is there
    logits_bk = torch.tensor([[0.0, math.log(3), -math.log(3)]])
    expected = (math.log(2) + math.log(4 / 3) + math.log(4 / 3)) / 3
    assert float(binary_cross_entropy(logits_bk, torch.tensor([1]))) == pytest.approx(expected)


def test_binary_cross_entropy_of_smoothed_and_mixed_targets() -> None:
    # Targets (0.1, 0.9) for probabilities (1/2, 3/4).
    logits_bk = torch.tensor([[0.0, math.log(3)]])
    expected = (math.log(2) + 0.9 * math.log(4 / 3) + 0.1 * math.log(4)) / 2
    assert float(binary_cross_entropy(logits_bk, torch.tensor([1]), label_smoothing=0.2)) == pytest.approx(expected)
    assert float(binary_cross_entropy(logits_bk, torch.tensor([[0.1, 0.9]]))) == pytest.approx(expected)


LN3 = math.log(3)


def test_focal_loss_by_hand() -> None:
    # Two pixels of true class 1 with probabilities 3/4 and 1/2: (1/4)**2 ln(4/3) and (1/2)**2 ln 2.
    logits_bkhw = torch.tensor([[[[0.0, 0.0]], [[LN3, 0.0]]]])
    loss = float(focal(logits_bkhw, torch.tensor([[[1, 1]]]), gamma=2.0, ignored=255))
    assert loss == pytest.approx((math.log(4 / 3) / 16 + math.log(2) / 4) / 2)


def test_focal_loss_without_focus_is_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    logits_bkhw = torch.randn(3, 5, 4, 6, generator=generator)
    mask_bhw = torch.randint(0, 5, (3, 4, 6), generator=generator)
    expected = torch.nn.functional.cross_entropy(logits_bkhw, mask_bhw)
    assert float(focal(logits_bkhw, mask_bhw, gamma=0.0, ignored=255)) == pytest.approx(float(expected))


def test_ignored_pixels_count_for_nothing() -> None:
    logits_bkhw = torch.tensor([[[[0.0, 50.0]], [[LN3, 0.0]]]], requires_grad=True)
    loss = focal(logits_bkhw, torch.tensor([[[1, 255]]]), gamma=0.0, ignored=255)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(math.log(4 / 3))
    assert logits_bkhw.grad is not None
    assert logits_bkhw.grad[..., 1].tolist() == [[[0.0], [0.0]]]


def test_every_sample_counts_the_same_however_much_of_it_is_ignored() -> None:
    # So the mean over ranks with equally many samples is that over all of them.
    generator = torch.Generator().manual_seed(0)
    logits_bkhw = torch.randn(4, 3, 5, 5, generator=generator)
    mask_bhw = torch.randint(0, 3, (4, 5, 5), generator=generator)
    mask_bhw[0, :4] = 255
    halves = [focal(logits_bkhw[part], mask_bhw[part], gamma=2.0, ignored=255) for part in (slice(2), slice(2, 4))]
    assert float(focal(logits_bkhw, mask_bhw, gamma=2.0, ignored=255)) == pytest.approx(float(sum(halves)) / 2)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_a_batch_that_is_ignored_as_a_whole_has_no_loss_and_a_gradient_of_zero(gamma: float) -> None:
    logits_bkhw = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = focal(logits_bkhw, torch.full((2, 4, 4), 255), gamma=gamma, ignored=255)
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits_bkhw.grad is not None
    assert not logits_bkhw.grad.any()


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_a_pixel_that_is_certainly_right_has_a_finite_gradient(gamma: float) -> None:
    logits_bkhw = torch.tensor([[[[200.0]], [[0.0]]]], requires_grad=True)
    focal(logits_bkhw, torch.tensor([[[0]]]), gamma=gamma, ignored=255).backward()
    assert logits_bkhw.grad is not None
    assert logits_bkhw.grad.isfinite().all()


def test_huber_is_quadratic_up_to_delta_and_linear_beyond_it() -> None:
    prediction, target = torch.tensor([[0.5, 3.0], [-1.0, 1.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    assert float(huber(prediction, target)) == pytest.approx((0.125 + 2.5 + 0.5 + 0) / 4)
    assert float(huber(prediction, target, delta=2.0)) == pytest.approx((0.125 + 4.0 + 0.5 + 0) / 4)


def test_between_pictures_huber_is_half_the_mean_squared_error() -> None:
    first, second = torch.rand(2, 3, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    assert float(huber(first, second)) == pytest.approx(float((first - second).square().mean()) / 2)
