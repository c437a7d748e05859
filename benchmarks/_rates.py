"""Decides how rates are taken of sides that keep their own time; does not know what they do."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sized

from benchmarks._harness import Row, compared

Side = Callable[[], float]
"""Does its work once and tells its rate: what has to be made ready first is outside of its clock."""


def in_turns(
    sides: Mapping[str, Side], rounds: int, *, warm_up: int = 1, on_round: Callable[[int], None] = lambda _: None
) -> dict[str, float]:
    """The median rate of each side; they take turns, so that a disturbance of the machine falls on all alike.

    Args:
        sides: What to call, by name.
        rounds: How often to go through all sides; at least 1.
        warm_up: How often to call each before that: files get into the page cache, libraries are loaded.
        on_round: Told the number of rounds done, after each, for those who wait.
    """
    for side in sides.values():
        for _ in range(warm_up):
            side()
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for done in range(1, rounds + 1):
        for name, side in sides.items():
            rates[name].append(side())
        on_round(done)
    return {name: statistics.median(values) for name, values in rates.items()}


def rate_of(parts: Iterable[Sized], *, skip: int = 0) -> float:
    """How many things a second come, in parts.

    Args:
        parts: Their lengths are added up.
        skip: This many parts come before the clock starts: with processes that have to start, as many as they are.
    """
    parts = iter(parts)
    for _ in range(skip):
        next(parts)
    start = time.perf_counter()
    count = sum(map(len, parts))
    return count / (time.perf_counter() - start)


def beside(name: str, rates: Mapping[str, float], ours: str, theirs: str, *, goal: float | None = None) -> Row:
    """The row of two rates of images."""
    return compared(name, rates[ours], "images/s", rates[theirs], goal=goal, more_is_better=True)
