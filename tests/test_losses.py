"""Losses against values worked out by hand."""

import math

import pytest
import torch

from wavemix.losses import cross_entropy


def test_cross_entropy_is_the_mean_negative_logarithm_of_the_true_class() -> None:
    # softmax(ln 1, ln 3) = (1/4, 3/4); softmax(0, 0) = (1/2, 1/2)
    logits_bk = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    assert float(cross_entropy(logits_bk, torch.tensor([1, 0]))) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_label_smoothing_spreads_its_share_over_all_classes() -> None:
    # Target (0.1, 0.9) for probabilities (1/4, 3/4).
    logits_bk = torch.tensor([[0.0, math.log(3)]])
    smoothed = float(cross_entropy(logits_bk, torch.tensor([1]), label_smoothing=0.2))
    assert smoothed == pytest.approx(0.1 * math.log(4) + 0.9 * math.log(4 / 3))
