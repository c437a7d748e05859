"""The training loop: one page, the same in one process, under torchrun and under Ray.

It knows a task by its protocol, and its surroundings by two callables: ``log(step, numbers)`` and
``report(metrics, checkpoint)``, which every rank calls equally often. Where weights come from is decided before it.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from wavemix.config import Recipe
from wavemix.data import Deal
from wavemix.data.loader import Batch
from wavemix.distributed import copy_buffers_from_first_rank, rank, sum_over_ranks, world_size
from wavemix.errors import TrainingError
from wavemix.tasks.base import Task
from wavemix.training.checkpoint import folder_of, load_weights
from wavemix.training.evaluation import evaluate, to_device
from wavemix.training.optim import build_optimizer, phase_of
from wavemix.training.state import Best, TrainState, seed_step

Log = Callable[[int, Mapping[str, float]], None]
Report = Callable[[Mapping[str, float], Path | None], None]


def num_steps(recipe: Recipe, deal: Deal) -> int:
    return deal.steps_per_epoch * sum(phase.num_epochs for phase in recipe.phases)


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
    """Train from ``state.step`` to the end of the recipe; evaluate, save and report after every epoch."""
    meter = _Meter()
    while state.step < num_steps(recipe, deal):
        if (phase := phase_of(state.step, recipe.phases, deal.steps_per_epoch)) != state.phase:
            _start_phase(state, recipe, phase, checkpoints)

        batch = to_device(next(train_batches), device)
        seed_step(seed, state.step, rank())  # after the loader, which draws a number when it starts
        loss = train_step(state, task, batch, deal.weight(state.step))
        batch_size = deal.batch(state.step).stop - deal.batch(state.step).start
        state.step += 1

        meter.add(loss, batch_size)
        epoch_ends = state.step % deal.steps_per_epoch == 0
        if epoch_ends or state.step % recipe.log_every_steps == 0:
            numbers = {"epoch": state.step / deal.steps_per_epoch, "train/lr": state.optimizer.param_groups[0]["lr"]}
            log(state.step, {**numbers, **meter.read(state.step, checkpoints)})

        if epoch_ends:
            copy_buffers_from_first_rank(state.model)
            metrics = task.summary(evaluate(state.model, task, eval_batches(), device))
            score = metrics[task.goal.metric]
            if state.best is None or task.goal.is_better(score, state.best.score):
                state.best = Best(score, state.step)
            log(state.step, {f"eval/{name}": value for name, value in metrics.items()})
            report(metrics, save(state))
            meter = _Meter()  # evaluation time is not training time


def train_step(state: TrainState, task: Task, batch: Mapping[str, Tensor], weight: float) -> Tensor:
    """One optimizer step on this rank's part of the batch; returns its loss times its weight, detached."""
    state.forward.train()
    loss = task.loss(task.predict(state.forward, batch), batch) * weight
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimizer.step()
    return loss.detach()


def _start_phase(state: TrainState, recipe: Recipe, phase: int, checkpoints: Path) -> None:
    """The next optimizer starts from the best weights so far, as the authors' scripts do."""
    if state.best is not None:
        load_weights(state, folder_of(state.best.step, checkpoints))
    state.optimizer = build_optimizer(recipe.phases[phase], state.model.parameters())
    state.phase = phase


class _Meter:
    """Loss and rate since the last reading, over all ranks."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._losses: list[Tensor] = []
        self._samples, self._since = 0, time.perf_counter()

    def add(self, loss: Tensor, batch_size: int) -> None:
        self._losses.append(loss)  # a tensor: nothing waits for the device here
        self._samples += batch_size

    def read(self, step: int, checkpoints: Path) -> dict[str, float]:
        """Mean loss per sample and samples per second.

        Raises:
            TrainingError: On every rank, if the loss is not finite any more.
        """
        mine = torch.stack(self._losses).double().mean()
        loss = float(sum_over_ranks(mine)) / world_size()  # waits for the device
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {step}; lower the learning rate of this phase (recipe.phases). "
                f"The last good checkpoint stays in {checkpoints}"
            )
        rate = self._samples / (time.perf_counter() - self._since)
        self._reset()
        return {"train/loss": loss, "train/samples_per_second": rate}
