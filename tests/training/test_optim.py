"""Which optimizer a phase has, and with which settings."""

import torch
from torch import nn

from wavemix.config.recipe import SGD, AdamW, Cosine
from wavemix.training.optim import build_optimizer

ADAMW = AdamW(
    optimizer="adamw",
    num_epochs=2,
    lr=3e-4,
    patience=3,
    schedule=Cosine(kind="cosine"),
    betas=(0.8, 0.95),
    eps=1e-6,
    weight_decay=0.05,
)
SGD_ = SGD(optimizer="sgd", num_epochs=1, lr=1e-2, momentum=0.7, weight_decay=0.001)


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
