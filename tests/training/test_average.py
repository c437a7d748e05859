"""The running average of weights, by hand."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from wavemix.training.average import start_average, update_average


def made(value: float) -> nn.BatchNorm2d:
    """A weight, a bias and two running statistics that are all the same number, and a count."""
    model = nn.BatchNorm2d(1)
    with torch.no_grad():
        for tensor in (model.weight, model.bias, model.running_mean, model.running_var):
            tensor.fill_(value)  # type: ignore[union-attr]
    return model


def test_by_hand() -> None:
    model = made(1.0)
    average = start_average(model)
    for num_updates, value in enumerate([3.0, -1.0]):
        model.load_state_dict(made(value).state_dict())
        model.num_batches_tracked.fill_(num_updates + 1)  # type: ignore[union-attr]
        update_average(average, model, decay=0.15, num_updates=num_updates)
    # d is 1/10, as little has been seen, and then 0.15, where 2/11 would be more.
    expected = 0.15 * (0.1 * 1.0 + 0.9 * 3.0) + 0.85 * -1.0
    found = average.state_dict()
    assert {name: float(found[name]) for name in ("weight", "bias", "running_mean", "running_var")} == pytest.approx(
        dict.fromkeys(("weight", "bias", "running_mean", "running_var"), expected), rel=1e-6
    )
    assert found["num_batches_tracked"] == 2


def test_is_torchs_own_once_the_limit_is_reached() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    ours, theirs = start_average(model), AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    theirs.update_parameters(model)  # its first call only copies
    for _ in range(5):
        nn.init.normal_(model.weight)
        update_average(ours, model, decay=0.9, num_updates=10_000)
        theirs.update_parameters(model)
    assert torch.equal(ours.weight, theirs.module.weight)


def test_has_no_part_in_the_model_and_no_gradient() -> None:
    model = made(1.0)
    average = start_average(model)
    update_average(average, made(2.0), decay=0.5, num_updates=0)
    assert model.weight.tolist() == [1.0]
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert average.state_dict().keys() == model.state_dict().keys()
