"""The section ``recipe`` of an experiment: how a network is trained. It builds no optimizer: training does."""

from typing import Annotated, Literal

from pydantic import Field

from wavemix.config.section import NonNegativeFloat, PositiveFloat, PositiveInt, Prob, Section

NonNegativeInt = Annotated[int, Field(ge=0)]


class Constant(Section):
    """The phase's ``lr`` at every step, behind ``warmup_epochs`` that rise to it in a line from ``warmup_lr``."""

    kind: Literal["constant"]
    warmup_epochs: NonNegativeInt = 0
    warmup_lr: NonNegativeFloat = 0.0


class Cosine(Section):
    """Half a cosine over all ``num_epochs`` of the phase, from its ``lr`` to ``min_lr``; a phase that ends early does
    not get there. ``warmup_epochs`` rise in a line from ``warmup_lr`` and take the place of the cosine's first ones.
    """

    kind: Literal["cosine"]
    min_lr: NonNegativeFloat = 0.0
    warmup_epochs: NonNegativeInt = 0
    warmup_lr: NonNegativeFloat = 0.0


Schedule = Annotated[Constant | Cosine, Field(discriminator="kind")]


class AdamW(Section):
    """The first phase of the papers' recipe.

    A phase ends after ``num_epochs``, or earlier once ``patience`` epochs have gone by without a better score (the
    authors' plateau: 20 to 25; null: never). The next one starts from the best weights so far; that of the last phase
    is early stopping. A score that was only reached again is not better.
    """

    optimizer: Literal["adamw"]
    num_epochs: PositiveInt
    lr: PositiveFloat
    patience: PositiveInt | None = None
    schedule: Schedule = Constant(kind="constant")
    betas: tuple[Prob, Prob] = (0.9, 0.999)
    eps: PositiveFloat = 1.0e-8
    weight_decay: NonNegativeFloat = 0.01


class SGD(Section):
    """The second phase; ``num_epochs``, ``patience`` and ``schedule`` as in the first."""

    optimizer: Literal["sgd"]
    num_epochs: PositiveInt
    lr: PositiveFloat
    patience: PositiveInt | None = None
    schedule: Schedule = Constant(kind="constant")
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegativeFloat = 0.0


Phase = AdamW | SGD


class Recipe(Section):
    """How a model is trained. The batch is the global one: the number of workers is no part of a recipe.

    ``global_batch``: samples of an optimizer step, over all workers.
    ``micro_batch``: the most samples that a worker pushes through at once; its part of the batch goes through in pieces
        and their gradients are added up (null: in one piece). Batch normalisation sees a piece of each worker.
    ``precision``: of the forward pass and the loss in training (autocast). Weights are float32 and so is evaluation.
    ``compile``: torch.compile for training; the first step takes a minute, and a continued run may differ in rounding.
    ``clip_norm``: the gradient's largest norm, over all weights; a longer one is scaled down to it (null: any).
    ``ema_decay``: evaluate and keep a running average of the weights, of which each step leaves this share; in the
        first n steps no more than ``(1 + n) / (10 + n)``, so that it forgets where it began (null: the weights).
    ``eval_every_epochs``: how often the model is evaluated and saved; a phase always ends with it. ``patience`` is
        looked at then, and no sooner.
    ``eval_batch``: samples of a worker's evaluation batch.
    ``shuffle_window``: how many samples are shuffled together.
    ``tail``: what becomes of the samples that fill no whole batch: ``spread`` evens out the batches, ``drop`` leaves
        them out of this epoch, ``wrap`` fills up with the epoch's first ones.
    ``sync_batch_norm``: whether batch normalisation takes its statistics over all workers.
    ``max_bad_steps``: a step whose gradient is not finite changes no weight; after so many in a row the weights go back
        to a good checkpoint, and training goes on with the samples that come next.
    ``max_rollbacks``: how often that may happen before training is given up.
    ``checkpoint_every_steps``: weights may go back to the checkpoints of such steps and of evaluations, and to no
        others, so that it does not depend on the clock where they go back to.
    """

    global_batch: PositiveInt
    phases: Annotated[tuple[Annotated[Phase, Field(discriminator="optimizer")], ...], Field(min_length=1)]
    eval_batch: PositiveInt
    eval_every_epochs: PositiveInt = 1
    micro_batch: PositiveInt | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    clip_norm: PositiveFloat | None = None
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    shuffle_window: PositiveInt = 16384
    tail: Literal["spread", "drop", "wrap"] = "spread"
    sync_batch_norm: bool = True
    max_bad_steps: PositiveInt = 3
    max_rollbacks: NonNegativeInt = 2
    checkpoint_every_steps: PositiveInt = 1000
    log_every_steps: PositiveInt = 10
