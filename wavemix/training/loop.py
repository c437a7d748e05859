"""The training loop: one page, the same in one process, under torchrun and under Ray.

It knows a task by its protocol, and its surroundings by what ``Surroundings`` names. Where weights come from is decided
before it; what happens where a gradient is not finite is ``rollback``'s.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wavemix.config import Recipe
from wavemix.data import Deal
from wavemix.data.loader import Batch
from wavemix.distributed import copy_buffers_from_first_rank, rank
from wavemix.errors import TrainingError
from wavemix.tasks.base import Task
from wavemix.training.average import update_average
from wavemix.training.checkpoint import folder_of, load_scored
from wavemix.training.clock import Clock
from wavemix.training.evaluation import evaluate, to_device
from wavemix.training.meter import Meter
from wavemix.training.optim import build_optimizer
from wavemix.training.phases import is_evaluated, next_phase
from wavemix.training.requests import Request, Requests
from wavemix.training.rollback import count_bad_step, roll_back
from wavemix.training.schedules import learning_rate
from wavemix.training.state import Best, TrainState, seed_step
from wavemix.training.step import train_step

Report = Callable[[Mapping[str, float], Path | None], None]


@dataclass(frozen=True)
class Surroundings:
    """What the loop asks of the rest; every rank calls ``save`` and ``report`` equally often."""

    clock: Clock
    meter: Meter
    requests: Requests
    checkpoints: Path
    save: Callable[[TrainState, bool], Path | None]  # whether the recipe asks for it at this step
    log: Callable[[int, Mapping[str, float]], None]
    tell: Callable[[str, str], None]  # of trouble: its kind, and a sentence
    report: Report


def fit(
    state: TrainState,
    task: Task,
    recipe: Recipe,
    deal: Deal,
    train_batches: Iterator[Batch],
    eval_batches: Callable[[], Iterable[Batch]],
    around: Surroundings,
    *,
    seed: int,
    device: torch.device,
) -> None:
    """Train from ``state.step`` to the end of the last phase, or until it is asked to stop: a checkpoint is there then.

    It evaluates, saves and reports as often as the recipe says, and saves when it is asked to.
    """
    clock, meter = around.clock, around.meter
    while (phase := next_phase(state.place, recipe, deal.steps_per_epoch)) is not None:
        if phase != state.phase:
            _start_phase(state, recipe, phase, around.checkpoints)

        with clock.on("input"):
            batch = to_device(next(train_batches), device)
        with clock.on("compute"):
            num_samples = len(next(iter(batch.values())))
            seed_step(seed, state.step, rank())  # after the loader, which draws a number when it starts
            batch = task.train_batch(batch, np.random.default_rng([seed, state.step, rank()]))
            lr = learning_rate(recipe.phases[phase], state.step - state.phase_start, deal.steps_per_epoch)
            for group in state.optimizer.param_groups:
                group["lr"] = lr
            loss = train_step(state, task, recipe, deal, batch, device)
            if loss is not None and state.average is not None and recipe.ema_decay is not None:
                update_average(state.average, state.model, decay=recipe.ema_decay, num_updates=state.step)
        meter.add(loss, num_samples)
        state.step += 1

        wanted = around.requests.after_step()
        if count_bad_step(state, recipe, left_out=loss is None):
            roll_back(state, recipe, around.checkpoints, around.tell)
            wanted = max(wanted, Request.SAVE)  # whoever is started again must not go the same way twice

        epoch_ended = state.step % deal.steps_per_epoch == 0
        if epoch_ended or state.step % recipe.log_every_steps == 0:
            numbers = {"epoch": state.step / deal.steps_per_epoch, "train/lr": lr}
            around.log(state.step, {**numbers, **meter.read(state, epoch_ended=epoch_ended)})

        if is_evaluated(state.place, recipe, deal.steps_per_epoch):
            with clock.on("evaluation"):
                for model in dict.fromkeys((state.model, state.scored)):
                    copy_buffers_from_first_rank(model)
                # In float32 whatever the recipe's precision: scores are of the weights, as in the stage `evaluate`.
                metrics = task.summary(evaluate(state.scored, task, clock.each(eval_batches()), device))
            state.best = _best(state, task, metrics[task.goal.metric])
            around.log(state.step, {f"eval/{name}": value for name, value in metrics.items()})
            around.report({**metrics, "epoch": state.step / deal.steps_per_epoch}, around.save(state, True))
        elif (regular := state.step % recipe.checkpoint_every_steps == 0) or wanted >= Request.SAVE:
            around.save(state, regular)
        if wanted == Request.STOP:
            return


def _start_phase(state: TrainState, recipe: Recipe, phase: int, checkpoints: Path) -> None:
    """The next optimizer starts from the best weights so far, as the authors' scripts do."""
    if state.best is not None:
        load_scored(state, folder_of(state.best.step, checkpoints))
    state.optimizer = build_optimizer(recipe.phases[phase], state.model.parameters())
    state.phase, state.phase_start = phase, state.step


def _best(state: TrainState, task: Task, score: float) -> Best:
    if math.isnan(score):
        raise TrainingError(f"eval/{task.goal.metric} is nan at step {state.step}, and ranks no checkpoint")
    if state.best is None or not task.goal.is_better(score, state.best.score):
        return state.best or Best(score, state.step, reached=state.step)
    return Best(score, state.step, reached=state.best.reached if score == state.best.score else state.step)
