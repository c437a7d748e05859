"""The learning rate of each step, as arithmetic. It knows the phase's settings, and no optimizer."""

import math

from wavemix.config import Phase


def learning_rate(phase: Phase, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step of a phase.

    Args:
        phase: Its ``lr`` is the rate that the warm-up leads to and the cosine starts from.
        step: Of this phase, counted from 0.
        steps_per_epoch: Steps of an epoch.

    Source: timm's CosineLRScheduler, for each step instead of each epoch (its ``sched_on_updates``): the warm-up takes
    the place of the cosine's first steps, and does not push it back. A cosine alone equals torch's CosineAnnealingLR.
    """
    schedule = phase.schedule
    warmup_steps = schedule.warmup_epochs * steps_per_epoch
    if step < warmup_steps:
        return schedule.warmup_lr + (phase.lr - schedule.warmup_lr) * step / warmup_steps
    if schedule.kind == "constant":
        return phase.lr
    done = step / (phase.num_epochs * steps_per_epoch)
    return schedule.min_lr + (phase.lr - schedule.min_lr) * (1 + math.cos(math.pi * done)) / 2
