"""The section ``recipe`` of an experiment: how a network is trained. It builds no optimizer: training does."""

from typing import Annotated, Literal

from pydantic import Field

from wavemix.config.section import NonNegativeFloat, PositiveFloat, PositiveInt, Prob, Section


class AdamW(Section):
    """The first phase of the papers' recipe."""

    optimizer: Literal["adamw"]
    num_epochs: PositiveInt
    lr: PositiveFloat
    betas: tuple[Prob, Prob] = (0.9, 0.999)
    eps: PositiveFloat = 1.0e-8
    weight_decay: NonNegativeFloat = 0.01


class SGD(Section):
    """The second phase: starts from the best weights of the first."""

    optimizer: Literal["sgd"]
    num_epochs: PositiveInt
    lr: PositiveFloat
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegativeFloat = 0.0


Phase = AdamW | SGD


class Recipe(Section):
    """How a model is trained. The batch is the global one: the number of workers is no part of a recipe."""

    global_batch: PositiveInt
    phases: Annotated[tuple[Annotated[Phase, Field(discriminator="optimizer")], ...], Field(min_length=1)]
    eval_batch: PositiveInt
    shuffle_window: PositiveInt = 16384
    tail: Literal["spread", "drop", "wrap"] = "spread"
    sync_batch_norm: bool = True
    log_every_steps: PositiveInt = 10
