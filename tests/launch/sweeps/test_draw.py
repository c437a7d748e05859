"""What is drawn from a space: within its bounds, never the same twice, and the same from the same seed."""

import itertools
import math

import numpy as np
import pytest

from wavemix.config.sweeps import Choice, LogUniform, Uniform
from wavemix.launch.sweeps.draw import change, draw

SPACE = {
    "recipe.phases.0.lr": LogUniform(log_uniform=(1e-4, 1e-1)),
    "task.model.dropout": Uniform(uniform=(0.1, 0.5)),
    "task.model.dim": Choice(choice=(8, 16)),
}
NUMBERS = {leaf: kind for leaf, kind in SPACE.items() if not isinstance(kind, Choice)}


def test_more_draws_of_a_seed_begin_with_the_same_ones() -> None:
    ten = draw(SPACE, 10, seed=3)
    assert draw(SPACE, 4, seed=3) == ten[:4]
    assert draw(SPACE, 4, seed=4) != ten[:4]


def test_draws_are_spread_over_the_whole_space() -> None:
    drawn = draw(SPACE, 400, seed=0)
    rates = [math.log10(values["recipe.phases.0.lr"]) for values in drawn]
    dropouts = [values["task.model.dropout"] for values in drawn]
    assert np.histogram(rates, bins=3, range=(-4, -1))[0] == pytest.approx([133, 133, 133], abs=35)
    assert np.histogram(dropouts, bins=4, range=(0.1, 0.5))[0] == pytest.approx([100] * 4, abs=35)
    assert sum(values["task.model.dim"] == 8 for values in drawn) == pytest.approx(200, abs=40)


def test_choices_are_drawn_until_none_is_left() -> None:
    space = {"seed": Choice(choice=(0, 1, 2)), "task.model.dim": Choice(choice=(8, 16))}
    drawn = [(values["seed"], values["task.model.dim"]) for values in draw(space, 6, seed=0)]
    assert sorted(drawn) == list(itertools.product((0, 1, 2), (8, 16)))


def test_a_change_is_small_and_stays_within_the_bounds() -> None:
    generator = np.random.default_rng(0)
    values = {"recipe.phases.0.lr": 1e-2, "task.model.dropout": 0.3}
    changed = [change(values, NUMBERS, resample_prob=0.0, generator=generator) for _ in range(200)]
    for leaf, value in values.items():
        factors = np.array([one[leaf] / value for one in changed])
        assert 0.8 <= factors.min() < 0.85
        assert 1.2 < factors.max() <= 1.25
    at_the_edge = {"recipe.phases.0.lr": 1e-1, "task.model.dropout": 0.5}
    for _ in range(200):
        moved = change(at_the_edge, NUMBERS, resample_prob=0.0, generator=generator)
        assert 1e-4 <= moved["recipe.phases.0.lr"] < 1e-1
        assert 0.1 <= moved["task.model.dropout"] < 0.5


def test_some_numbers_are_drawn_anew() -> None:
    generator = np.random.default_rng(0)
    values = {"recipe.phases.0.lr": 1e-4, "task.model.dropout": 0.1}
    changed = [change(values, NUMBERS, resample_prob=1.0, generator=generator) for _ in range(50)]
    assert max(one["recipe.phases.0.lr"] for one in changed) > 1e-2
