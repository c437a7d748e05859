"""Numbers for the trials of a sweep: drawn from a space, and changed within it. It knows no trial and no Ray."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from wavemix.config.sweeps import Choice, Drawn, LogUniform, Uniform

Values = dict[str, Any]
"""What is drawn for a trial, by the path of its leaf."""

FACTOR = 1.25
"""The most that a change multiplies or divides a number by."""


def draw(space: Mapping[str, Drawn], count: int, *, seed: int) -> list[Values]:
    """The first ``count`` different draws of a seed: more of them begin with the same ones.

    There must be so many; a space of choices alone has only their product.
    """
    generator = np.random.default_rng(seed)
    drawn: dict[str, Values] = {}
    while len(drawn) < count:
        values = {leaf: _draw_one(kind, generator) for leaf, kind in space.items()}
        drawn.setdefault(json.dumps(values), values)
    return list(drawn.values())


def change(
    values: Values, space: Mapping[str, Drawn], *, resample_prob: float, generator: np.random.Generator
) -> Values:
    """Each number times a factor from 1/1.25 to 1.25; drawn anew by ``resample_prob``, and where it would leave its
    bounds (so that no two trials meet there)."""
    changed = {}
    for leaf, kind in space.items():
        factor = np.exp(generator.uniform(-np.log(FACTOR), np.log(FACTOR)))
        value = float(values[leaf] * factor)
        low, high = _bounds(kind)
        resampled = generator.random() < resample_prob or not low <= value <= high
        changed[leaf] = _draw_one(kind, generator) if resampled else value
    return changed


def _draw_one(kind: Drawn, generator: np.random.Generator) -> Any:
    match kind:
        case Choice(choice=values):
            return values[generator.integers(len(values))]
        case LogUniform(log_uniform=(low, high)):
            return float(np.exp(generator.uniform(np.log(low), np.log(high))))
        case Uniform(uniform=(low, high)):
            return float(generator.uniform(low, high))


def _bounds(kind: Drawn) -> tuple[float, float]:
    assert not isinstance(kind, Choice), "only numbers can be changed a little"
    return kind.log_uniform if isinstance(kind, LogUniform) else kind.uniform
