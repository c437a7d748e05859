"""Counts between two readings, over a stop and over a change of the number of ranks."""

import pytest
import torch
from torch import nn

from wavemix.training.clock import Clock
from wavemix.training.meter import Meter
from wavemix.training.state import TrainState


@pytest.fixture
def state() -> TrainState:
    model = nn.Linear(1, 1)
    return TrainState(model, model, torch.optim.SGD(model.parameters(), lr=0.1))


def add(meter: Meter, *losses: float | None) -> None:
    for loss in losses:
        meter.add(None if loss is None else torch.tensor(loss), 4)


def test_a_step_that_was_left_out_counts_its_samples_and_no_loss(state: TrainState) -> None:
    meter = Meter(Clock(), {})
    add(meter, 1.0, None, 2.0)
    numbers = meter.read(state, epoch_ended=True)
    assert numbers["train/loss"] == 1.5
    assert numbers["train/epoch_samples"] == 12
    add(meter, None)
    assert "train/loss" not in meter.read(state, epoch_ended=False)


def test_samples_of_the_epoch_go_on_over_readings_and_begin_anew_with_the_next(state: TrainState) -> None:
    meter = Meter(Clock(), {})
    add(meter, 1.0)
    assert "train/epoch_samples" not in meter.read(state, epoch_ended=False)
    add(meter, 1.0)
    assert meter.read(state, epoch_ended=True)["train/epoch_samples"] == 8
    add(meter, 1.0)
    assert meter.read(state, epoch_ended=True)["train/epoch_samples"] == 4


def test_what_a_checkpoint_kept_is_gone_on_with(state: TrainState) -> None:
    first = Meter(Clock(), {})
    add(first, 0.1, 0.2)
    whole = Meter(Clock(), {})
    add(whole, 0.1, 0.2, 0.7)
    second = Meter(Clock(), first.kept())
    add(second, 0.7)
    names = ("train/loss", "train/epoch_samples")
    found, expected = (meter.read(state, epoch_ended=True) for meter in (second, whole))
    assert [found[name] for name in names] == [expected[name] for name in names]


def test_counts_of_three_ranks_are_gone_on_with_by_one(state: TrainState) -> None:
    # Three ranks, whose losses are weighted so that their mean is that of the batch: 2 in each of two steps.
    meter = Meter(Clock(), {"steps": 2, "ranks": [[3.0, 8], [6.0, 8], [3.0, 4]]})
    add(meter, 2.0)
    numbers = meter.read(state, epoch_ended=True)
    assert numbers["train/loss"] == 2
    assert numbers["train/epoch_samples"] == 24
