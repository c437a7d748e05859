"""Random numbers of a step follow from (seed, step, rank)."""

import itertools

import torch

from wavemix.training.state import seed_step


def drawn(seed: int, step: int, rank: int) -> tuple[float, ...]:
    seed_step(seed, step, rank)
    return tuple(torch.rand(4).tolist())


def test_the_same_step_draws_the_same_whatever_came_before() -> None:
    first = drawn(0, 7, 1)
    torch.rand(100)
    assert drawn(0, 7, 1) == first


def test_every_seed_step_and_rank_draws_its_own() -> None:
    places = list(itertools.product(range(4), range(8), range(4)))
    assert len({drawn(*place) for place in places}) == len(places)


def test_any_seed_that_params_yaml_allows_is_taken() -> None:
    assert drawn(2**40, 10**9, 4095) != drawn(0, 0, 0)
