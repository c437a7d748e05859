"""Decides the order of the experiments on the page, and the two tables that set them beside each other.

It does not know of files or markup.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from wavemix.report.records import Experiment
from wavemix.report.tables import EMPTY, Cell, Row, Table, beside_baseline, in_words, without_empty_columns
from wavemix.report.writing import write_bytes, write_large, write_number, write_score


def in_order(experiments: Sequence[Experiment]) -> tuple[Experiment, ...]:
    """By task, data and metric; only where all of them are the same, the better score comes first."""

    def place(experiment: Experiment) -> tuple[str | float, ...]:
        training, score = experiment.training, experiment.score
        alike = (training.task, training.data, training.manifest_sha256, training.goal.metric)
        if score is None or math.isnan(score):
            return (*alike, math.inf, experiment.name)
        return (*alike, -score if training.goal.mode == "max" else score, experiment.name)

    return tuple(sorted(experiments, key=place))


def overview_table(experiments: Sequence[Experiment]) -> Table:
    """A row per experiment, whose n-th leads to ``experiment-n``."""
    return _by_task(
        "Scores of the held-out split that the row names. They compare within one metric on the same data, where the "
        "best one stands first; others do not.",
        ("Experiment", "Score", "Baseline", "Gain", "Samples", "Parameters", "Steps", "Data"),
        experiments,
        _overview_row,
    )


def cost_table(experiments: Sequence[Experiment]) -> Table | None:
    """As the overview, with the cost of the experiments that were measured; None where none was."""
    table = _by_task(
        "Speed and memory are of the device that the row names, and compare on the same one at the same batch alone.",
        (
            "Experiment",
            "Score",
            "Parameters",
            "Multiply-adds",
            "Inference, images/s",
            "Training, images/s",
            "Peak memory",
            "Largest batch in 16 GB",
            "Measured on",
        ),
        experiments,
        _cost_row,
    )
    return table if table.groups else None


def _overview_row(experiment: Experiment) -> Row:
    evaluation, training = experiment.evaluation, experiment.training
    return (
        *beside_baseline(evaluation.metrics if evaluation else {}, training.goal.metric),
        Cell(write_number(evaluation.num_samples), evaluation.split) if evaluation else EMPTY,
        Cell(write_number(training.num_parameters)),
        Cell(write_number(training.step)),
        Cell(training.data),
    )


def _cost_row(experiment: Experiment) -> Row | None:
    cost = experiment.cost
    if cost is None:
        return None
    memory, largest = cost.memory, cost.largest_batch
    executed = f"{write_large(cost.multiply_adds_executed)} executed"
    shapes = (f"{name} {'x'.join(map(str, shape))}" for name, shape in cost.input_shapes.items())
    return (
        Cell(write_number(cost.num_parameters)),
        Cell(
            write_large(cost.multiply_adds_written),
            executed if cost.multiply_adds_executed != cost.multiply_adds_written else "",
        ),
        Cell(write_number(cost.inference_rate)),
        Cell(write_number(cost.training_rate)),
        Cell(write_bytes(memory.num_bytes), memory.kind) if memory else EMPTY,
        Cell(write_number(largest.value), largest.how) if largest else EMPTY,
        Cell(cost.device, ", ".join((f"{cost.num_threads} threads", f"batch {cost.batch}", *shapes))),
    )


def _by_task(
    caption: str,
    columns: tuple[str, ...],
    experiments: Sequence[Experiment],
    row_of: Callable[[Experiment], Row | None],
) -> Table:
    """Name and score of each experiment, and its row; without those that have no row."""
    groups: dict[str, list[Row]] = {}
    for place, experiment in enumerate(experiments, start=1):
        if (row := row_of(experiment)) is not None:
            name = Cell(experiment.name, target=f"experiment-{place}")
            groups.setdefault(in_words(experiment.training.task).capitalize(), []).append(
                (name, _score(experiment), *row)
            )
    return without_empty_columns(Table(caption, columns, groups))


def _score(experiment: Experiment) -> Cell:
    goal, evaluation = experiment.training.goal.metric, experiment.evaluation
    if evaluation is None:
        return Cell("", "not yet evaluated")
    return Cell(write_score(goal, experiment.score, evaluation.num_samples), goal)
