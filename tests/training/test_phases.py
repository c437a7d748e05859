"""Which phase does the next step, and when a run is evaluated and finished: a table."""

from typing import Any

import pytest

from factories.shades import recipe_of
from wavemix.config import Recipe
from wavemix.training.phases import is_evaluated, most_steps, next_phase
from wavemix.training.state import Best, Place

STEPS = 10  # of an epoch


def recipe(*phases: tuple[int, int | None], every: int = 1) -> Recipe:
    """Phases by their number of epochs and their patience."""
    made: list[dict[str, Any]] = [
        {"optimizer": "adamw" if index % 2 == 0 else "sgd", "lr": 0.1, "num_epochs": epochs, "patience": patience}
        for index, (epochs, patience) in enumerate(phases)
    ]
    return recipe_of(*made, eval_every_epochs=every)


def at(step: int, phase: int = 0, start: int = 0, best: int | None = None) -> Place:
    """A place with the best score at step ``best``."""
    return Place(step, phase, start, None if best is None else Best(0.5, best, best))


PLAIN = recipe((3, None), (2, None))
PATIENT = recipe((9, 2), (9, 3))
SELDOM = recipe((5, 2), (9, 1), every=2)


@pytest.mark.parametrize(
    ("made", "place", "expected"),
    [
        # Without patience each phase has all of its epochs.
        (PLAIN, at(0), 0),
        (PLAIN, at(29, best=10), 0),
        (PLAIN, at(30, best=10), 1),
        (PLAIN, at(30, phase=1, start=30, best=10), 1),
        (PLAIN, at(49, phase=1, start=30, best=10), 1),
        (PLAIN, at(50, phase=1, start=30, best=10), None),
        # With patience it ends when that many epochs brought nothing better, at an evaluation.
        (PATIENT, at(20, best=10), 0),
        (PATIENT, at(29, best=10), 0),
        (PATIENT, at(30, best=10), 1),
        (PATIENT, at(30, best=20), 0),
        (PATIENT, at(40, best=20), 1),
        (PATIENT, at(90, best=90), 1),
        # A phase counts from its own start, whenever the best score was.
        (PATIENT, at(30, phase=1, start=30, best=10), 1),
        (PATIENT, at(50, phase=1, start=30, best=10), 1),
        (PATIENT, at(60, phase=1, start=30, best=10), None),
        (PATIENT, at(60, phase=1, start=30, best=40), 1),
        (PATIENT, at(70, phase=1, start=30, best=40), None),
        (PATIENT, at(120, phase=1, start=30, best=120), None),
        # Between two evaluations nobody knows whether something better has come.
        (SELDOM, at(20, best=20), 0),
        (SELDOM, at(30, best=20), 0),
        (SELDOM, at(40, best=20), 1),
        (SELDOM, at(50, best=40), 1),
        (SELDOM, at(50, phase=1, start=40, best=20), 1),
        (SELDOM, at(60, phase=1, start=40, best=20), None),
    ],
)
def test_the_next_step_belongs_to(made: Recipe, place: Place, expected: int | None) -> None:
    assert next_phase(place, made, STEPS) == expected


def test_a_score_that_is_only_reached_again_is_not_better() -> None:
    again = Best(0.5, step=30, reached=10)
    assert next_phase(Place(30, 0, 0, again), PATIENT, STEPS) == 1
    assert next_phase(Place(30, 0, 0, again._replace(reached=20)), PATIENT, STEPS) == 0


@pytest.mark.parametrize(
    ("made", "start", "steps"),
    [(PLAIN, 0, [10, 20, 30]), (PLAIN, 30, [40, 50, 60]), (SELDOM, 0, [20, 40, 50]), (SELDOM, 30, [50, 70, 80])],
)
def test_evaluations_come_every_so_many_epochs_and_at_the_end_of_a_phase(
    made: Recipe, start: int, steps: list[int]
) -> None:
    length = made.phases[0].num_epochs * STEPS
    found = [step for step in range(start, start + length + 1) if is_evaluated(at(step, start=start), made, STEPS)]
    assert found == [step for step in steps if step <= start + length]


def test_a_run_is_at_most_as_long_as_its_phases() -> None:
    assert most_steps(PLAIN, STEPS) == 50
    assert most_steps(PATIENT, STEPS) == 180
