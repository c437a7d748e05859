"""The section ``sweeps``: trials of an experiment, what is drawn for them, and how they are ranked and ended early.

It draws nothing: the launcher of sweeps does.
"""

import math
import re
from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from wavemix.config.recipe import Recipe
from wavemix.config.section import Name, PositiveFloat, PositiveInt, Prob, Section

DECIDES = ("task.", "recipe.", "seed")
"""What the leaves of a space begin with: two trials that differ in nothing else would be one run."""

MAY_CHANGE = re.compile(
    r"recipe\.phases\.\d+\.(lr|weight_decay|momentum)|recipe\.(clip_norm|ema_decay)"
    r"|task\.model\.(dropout|drop_path)|task\.(label_smoothing|focal_gamma|augment\..+)"
)
"""Leaves that may change in the middle of a run: its weights, its optimizer and the order of its samples go on."""


def _differing(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if any(value in values[:place] for place, value in enumerate(values)):
        raise ValueError("values that differ")
    return values


class Choice(Section):
    """One of the listed values, drawn at random."""

    choice: Annotated[tuple[Any, ...], Field(min_length=1), AfterValidator(_differing)]


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] >= bounds[1]:
        raise ValueError("two numbers, the smaller one first")
    return bounds


class LogUniform(Section):
    """A number between the two bounds, evenly spread in its logarithm."""

    log_uniform: Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_rising)]


class Uniform(Section):
    """A number between the two bounds, evenly spread."""

    uniform: Annotated[tuple[float, float], AfterValidator(_rising)]


def _kind(drawn: Any) -> str | None:
    """By which of its keys a leaf of a space is drawn, so that a mistake in it is told once, not for every kind."""
    keys = list(drawn) if isinstance(drawn, dict) else list(type(drawn).model_fields)
    return keys[0] if len(keys) == 1 else None


Drawn = Annotated[
    Annotated[Choice, Tag("choice")] | Annotated[LogUniform, Tag("log_uniform")] | Annotated[Uniform, Tag("uniform")],
    Discriminator(
        _kind,
        custom_error_type="drawn",
        custom_error_message="one of the keys choice, log_uniform and uniform, with a list",
    ),
]


class Asha(Section):
    """Ends trials early (asynchronous successive halving): at ``grace_epochs`` and every ``reduction_factor`` times as
    many, only the best one of so many goes on."""

    kind: Literal["asha"]
    grace_epochs: PositiveInt
    reduction_factor: Annotated[int, Field(ge=2)] = 3


class Pbt(Section):
    """Trains a population: every so many epochs a trial among the worst ``quantile`` goes on from the checkpoint of one
    among the best, with each of its settings times something from 0.8 to 1.25, or (by ``resample_prob``) drawn anew."""

    kind: Literal["pbt"]
    every_epochs: PositiveInt
    quantile: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    resample_prob: Prob = 0.25


class Sweep(Section):
    """Trials of one experiment with some of its leaves drawn from a space, by their path below the experiment.

    ``num_trials`` and ``max_hours`` end the sweep; raising them later goes on with it. ``max_concurrent`` trials run at
    once (null: as many as all of whose workers have their place at the same time). The ``seed`` is that of the draws.
    """

    experiment: Name
    num_trials: PositiveInt
    workers_per_trial: PositiveInt
    space: Annotated[dict[str, Drawn], Field(min_length=1)]
    overrides: dict[str, Any] = Field(default_factory=dict)
    sampler: Literal["random", "optuna"] = "random"
    scheduler: Annotated[Asha | Pbt, Field(discriminator="kind")] | None = None
    max_concurrent: PositiveInt | None = None
    max_hours: PositiveFloat | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    def mistake(self, recipe: Recipe) -> str | None:
        """What does not fit together, behind its path below this section; ``recipe`` is that of its trials."""
        return next(chain(self._mistakes_of_sampler(), self._mistakes_of_scheduler(recipe)), None)

    def _mistakes_of_sampler(self) -> Iterator[str]:
        choices = [drawn.choice for drawn in self.space.values() if isinstance(drawn, Choice)]
        only_choices, most = len(choices) == len(self.space), math.prod(map(len, choices))
        for leaf in self.space:
            if not leaf.startswith(DECIDES):
                yield f"space.{leaf}: decides nothing of a training; allowed: leaves of task, recipe and seed"
        if self.sampler == "optuna" and only_choices:
            yield "sampler: found optuna, which may draw the same choices twice; allowed: random, or a number to draw"
        if self.sampler == "random" and only_choices and self.num_trials > most:
            yield f"num_trials: found {self.num_trials}, but its choices make {most} different trials"

    def _mistakes_of_scheduler(self, recipe: Recipe) -> Iterator[str]:
        if self.scheduler is None:
            return
        kind, epochs = self.scheduler.kind, sum(phase.num_epochs for phase in recipe.phases)
        key = "grace_epochs" if isinstance(self.scheduler, Asha) else "every_epochs"
        first_look = max(getattr(self.scheduler, key), recipe.eval_every_epochs)
        if first_look >= epochs:
            yield (
                f"scheduler.{key}: {kind} would first look at epoch {first_look} (scores come every "
                f"{recipe.eval_every_epochs}), where the recipe of {epochs} epochs has ended"
            )
        for leaf in self.space:
            if leaf.endswith(".num_epochs"):
                yield f"space.{leaf}: {kind} compares trials by their epochs, so all of them need the same number"
        if kind == "pbt":
            yield from self._mistakes_of_population()

    def _mistakes_of_population(self) -> Iterator[str]:
        for leaf, drawn in self.space.items():
            if not MAY_CHANGE.fullmatch(leaf):
                yield f"space.{leaf}: pbt changes a leaf in the middle of a run, where this one cannot change"
            if isinstance(drawn, Choice):
                yield f"space.{leaf}: pbt changes numbers; allowed: log_uniform and uniform"
        if self.sampler == "optuna":
            yield "sampler: found optuna, but pbt changes settings by itself; allowed: random"
        if self.num_trials < 2:
            yield "num_trials: found 1, but pbt needs a population; allowed: 2 and more"
