"""The training loop: one page, the same in one process, under torchrun and under Ray.

It knows a task by its protocol, and its surroundings by two callables: ``log(step, numbers)`` and
``report(metrics, checkpoint)``, which every rank calls equally often. Where weights come from is decided before it.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from wavemix.training.evaluation import evaluate, to_device
from wavemix.training.meter import Meter
from wavemix.training.optim import build_optimizer
from wavemix.training.phases import is_evaluated, next_phase
from wavemix.training.schedules import learning_rate
from wavemix.training.state import Best, TrainState, seed_step
from wavemix.training.step import train_step

Log = Callable[[int, Mapping[str, float]], None]
Report = Callable[[Mapping[str, float], Path | None], None]


def fit(
    state: TrainState,
    task: Task,
    recipe: Recipe,
    deal: Deal,
    train_batches: Iterator[Batch],
    eval_batches: Callable[[], Iterable[Batch]],
    *,
    seed: int,
    device: torch.device,
    checkpoints: Path,
    save: Callable[[TrainState], Path | None],
    log: Log,
    report: Report,
) -> None:
    """Train from ``state.step`` to the end of the last phase; evaluate, save and report as often as the recipe says."""
    meter = Meter(checkpoints)
    while (phase := next_phase(state.place, recipe, deal.steps_per_epoch)) is not None:
        if phase != state.phase:
            _start_phase(state, recipe, phase, checkpoints)

        batch = to_device(next(train_batches), device)
        seed_step(seed, state.step, rank())  # after the loader, which draws a number when it starts
        batch = task.train_batch(batch, np.random.default_rng([seed, state.step, rank()]))
        lr = learning_rate(recipe.phases[phase], state.step - state.phase_start, deal.steps_per_epoch)
        for group in state.optimizer.param_groups:
            group["lr"] = lr
        loss = train_step(state, task, recipe, deal, batch, device)
        if state.average is not None and recipe.ema_decay is not None:
            update_average(state.average, state.model, decay=recipe.ema_decay, num_updates=state.step)
        meter.add(loss, deal.batch(state.step))
        state.step += 1

        if state.step % deal.steps_per_epoch == 0 or state.step % recipe.log_every_steps == 0:
            numbers = {"epoch": state.step / deal.steps_per_epoch, "train/lr": lr}
            log(state.step, {**numbers, **meter.read(state)})

        if is_evaluated(state.place, recipe, deal.steps_per_epoch):
            for model in dict.fromkeys((state.model, state.scored)):
                copy_buffers_from_first_rank(model)
            # In float32 whatever the recipe's precision: scores are those of the weights, as in the stage `evaluate`.
            metrics = task.summary(evaluate(state.scored, task, eval_batches(), device))
            state.best = _best(state, task, metrics[task.goal.metric])
            log(state.step, {f"eval/{name}": value for name, value in metrics.items()})
            report(metrics, save(state))
            meter = Meter(checkpoints)  # evaluation time is not training time


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
