"""Mixup and CutMix of a batch with itself."""

from typing import Any

import numpy as np
import pytest
import torch

from wavemix.data.mixing import mix

TIMM = {"mixup_alpha": 0.8, "cutmix_alpha": 1.0, "prob": 1.0, "cutmix_prob": 0.5}


@pytest.fixture
def batch() -> torch.Tensor:
    return torch.rand(5, 3, 12, 17, generator=torch.Generator().manual_seed(0))


def mixed(batch: torch.Tensor, seed: int, **changes: Any) -> tuple[torch.Tensor, float]:
    return mix(batch, np.random.default_rng(seed), **{**TIMM, **changes})


def test_mixup_is_a_weighted_mean_with_the_mirrored_place(batch: torch.Tensor) -> None:
    before = batch.clone()
    for seed in range(10):
        image, share = mixed(batch, seed, cutmix_prob=0.0)
        assert 0 < share < 1
        for place in range(5):
            assert torch.allclose(image[place], share * batch[place] + (1 - share) * batch[4 - place])
    assert torch.equal(batch, before)


def test_cutmix_puts_a_box_of_the_other_picture_into_the_own(batch: torch.Tensor) -> None:
    before = batch.clone()
    shares = []
    for seed in range(30):
        image, share = mixed(batch, seed, cutmix_prob=1.0)
        other_hw = (image != batch)[0].all(dim=0)
        rows, columns = other_hw.any(dim=1).nonzero().flatten(), other_hw.any(dim=0).nonzero().flatten()
        assert int(other_hw.sum()) == len(rows) * len(columns)
        assert (rows.diff() == 1).all()
        assert (columns.diff() == 1).all()
        for place in range(5):
            assert torch.equal(image[place], torch.where(other_hw, batch[4 - place], batch[place]))
        assert share == pytest.approx(1 - float(other_hw.float().mean()))
        shares.append(share)
    assert max(shares) - min(shares) > 0.5
    assert torch.equal(batch, before)


def test_both_are_used_and_so_is_neither(batch: torch.Tensor) -> None:
    def kind(image: torch.Tensor) -> str:
        if torch.equal(image, batch):
            return "neither"
        return "cutmix" if torch.equal(torch.where(image == batch, batch, batch.flip(0)), image) else "mixup"

    kinds = [kind(mixed(batch, seed, prob=0.8, cutmix_prob=0.25)[0]) for seed in range(300)]
    found = {name: kinds.count(name) / 300 for name in ("mixup", "cutmix", "neither")}
    assert found == pytest.approx({"mixup": 0.6, "cutmix": 0.2, "neither": 0.2}, abs=0.08)
    assert mixed(batch, 0, prob=0.0)[1] == 1.0


def test_small_parameters_keep_pictures_apart(batch: torch.Tensor) -> None:
    near, far = (
        [
            min(share, 1 - share)
            for share in (mixed(batch, seed, cutmix_prob=0.0, mixup_alpha=alpha)[1] for seed in range(100))
        ]
        for alpha in (0.1, 10.0)
    )
    assert np.mean(near) < 0.15
    assert np.mean(far) > 0.35


def test_one_picture_cannot_be_mixed(batch: torch.Tensor) -> None:
    for seed in range(5):
        image, share = mixed(batch[:1], seed)
        assert share == 1.0
        assert torch.equal(image, batch[:1])
