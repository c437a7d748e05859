"""The section ``sweeps``: trials of an experiment, what is drawn for them, and how they are ranked and ended early.

It draws nothing: the launcher of sweeps does.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from wavemix.config.section import Name, PositiveFloat, PositiveInt, Prob, Section


class Choice(Section):
    """One of the listed values, drawn at random."""

    choice: Annotated[tuple[Any, ...], Field(min_length=1)]


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
    among the best, with its settings changed by a fifth, or (by ``resample_prob``) drawn anew."""

    kind: Literal["pbt"]
    every_epochs: PositiveInt
    quantile: Annotated[float, Field(gt=0, le=0.5)] = 0.25
    resample_prob: Prob = 0.25


class Sweep(Section):
    """Trials of one experiment with some of its leaves drawn from a space, by their path below the experiment.

    ``max_hours`` ends the sweep, and ``max_concurrent`` trials run at once (null: as many as all of whose workers have
    their place at the same time).
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
