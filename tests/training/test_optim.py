"""Which optimizer does which step, and with which settings."""

import pytest
import torch
from torch import nn

from wavemix.config.recipe import SGD, AdamW
from wavemix.training.optim import build_optimizer, phase_of

ADAMW = AdamW(optimizer="adamw", num_epochs=2, lr=3e-4, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.05)
SGD_ = SGD(optimizer="sgd", num_epochs=1, lr=1e-2, momentum=0.7, weight_decay=0.001)


@pytest.mark.parametrize(("step", "phase"), [(0, 0), (9, 0), (10, 1), (14, 1), (15, 2), (24, 2), (25, 2), (1000, 2)])
def test_phases_change_at_the_end_of_their_epochs(step: int, phase: int) -> None:
    assert phase_of(step, (ADAMW, SGD_, ADAMW), steps_per_epoch=5) == phase


def test_the_optimizer_has_the_settings_of_its_phase() -> None:
    parameters = list(nn.Linear(2, 2).parameters())
    adamw, sgd = build_optimizer(ADAMW, parameters), build_optimizer(SGD_, parameters)
    assert type(adamw) is torch.optim.AdamW
    assert type(sgd) is torch.optim.SGD
    expected = {"lr": 3e-4, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.05}
    assert {name: adamw.param_groups[0][name] for name in expected} == expected
    expected = {"lr": 1e-2, "momentum": 0.7, "weight_decay": 0.001, "nesterov": False, "dampening": 0}
    assert {name: sgd.param_groups[0][name] for name in expected} == expected
    assert sgd.param_groups[0]["params"] == parameters
