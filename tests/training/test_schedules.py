"""Learning rates by hand, and beside torch's own schedulers."""

from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from factories.shades import recipe_of
from wavemix.config import Phase
from wavemix.training.schedules import learning_rate

STEPS = 5  # of an epoch


def phase(lr: float = 0.4, num_epochs: int = 8, **schedule: Any) -> Phase:
    return recipe_of(
        {"optimizer": "sgd", "lr": lr, "num_epochs": num_epochs, **({"schedule": schedule} if schedule else {})}
    ).phases[0]


def rates(made: Phase) -> list[float]:
    return [learning_rate(made, step, STEPS) for step in range(made.num_epochs * STEPS)]


def of_torch(made: Phase, build: Any) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=made.lr)
    scheduler, found = build(optimizer), []
    for _ in range(made.num_epochs * STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_without_a_schedule_the_rate_is_the_phases_own_bit_for_bit() -> None:
    assert set(rates(phase(lr=1e-3))) == {1e-3}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.1),  # the warm-up lasts 2 epochs of 5 steps, from 0.1 to 0.4
        (1, 0.13),
        (5, 0.25),
        (9, 0.37),
        # cosine of 40 steps from 0.4 to 0.2, of which the warm-up took the first ten
        (10, 0.2 + 0.1 * (1 + 0.5**0.5)),
        (20, 0.3),
        (30, 0.2 + 0.1 * (1 - 0.5**0.5)),
    ],
)
def test_points_by_hand(step: int, expected: float) -> None:
    made = phase(kind="cosine", min_lr=0.2, warmup_epochs=2, warmup_lr=0.1)
    assert learning_rate(made, step, STEPS) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("min_lr", [0.0, 1e-5])
def test_the_cosine_is_that_of_torch(min_lr: float) -> None:
    made = phase(kind="cosine", min_lr=min_lr)
    expected = of_torch(made, lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 8 * STEPS, min_lr))
    assert rates(made) == pytest.approx(expected, rel=1e-9)


def test_the_warm_up_before_a_constant_rate_is_that_of_torch() -> None:
    made = phase(kind="constant", warmup_epochs=3, warmup_lr=0.1)
    expected = of_torch(
        made, lambda optimizer: lr_scheduler.LinearLR(optimizer, start_factor=0.25, total_iters=3 * STEPS)
    )
    assert rates(made) == pytest.approx(expected, rel=1e-9)
    assert rates(made)[15:] == [0.4] * 25
