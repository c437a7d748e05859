"""Decides what a table is, and which tables show the scores of one evaluation.

It does not know of files or markup; a cell is text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wavemix.report.records import ClassScores, Evaluation, Experiment
from wavemix.report.scores import VARIANTS, baseline_of, parse_metric, protocol
from wavemix.report.writing import NO_NUMBER, sampling_interval, write_gain, write_number, write_score

MAX_CLASSES: Final = 24  # that are shown in one table; of more, the worst and the best
ENDS: Final = 8  # how many of each


@dataclass(frozen=True)
class Cell:
    """What a cell says; ``note`` in small letters, ``target`` the id it leads to, ``share`` the length of its bar."""

    text: str
    note: str = ""
    target: str = ""
    share: float | None = None


EMPTY: Final = Cell(NO_NUMBER)
Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Rows by their heading, "" where they need none; the first cell of a row says what the row is about."""

    caption: str
    columns: tuple[str, ...]
    groups: Mapping[str, Sequence[Row]]


def metric_table(evaluation: Evaluation, goal: str) -> Table:
    """A row per metric, the goal first; beside the model's value its variants, the baseline, and the gain over it."""
    names = [name for name in map(parse_metric, (goal, *evaluation.metrics)) if name.share is None]
    present = {name.variant for name in names}
    variants = sorted((name for name in VARIANTS if name in present), key=lambda name: VARIANTS[name].is_baseline)
    rows = []
    for base in dict.fromkeys(name.base for name in names):
        values = [evaluation.metrics.get(name) for name in (base, *(f"{base}_{variant}" for variant in variants))]
        scores = (Cell(write_score(base, value, evaluation.num_samples)) for value in values)
        better = "lower is better" if protocol(base).lower_is_better else ""
        gain = beside_baseline(evaluation.metrics, base)[1]
        rows.append((Cell(base, better), *scores, gain, Cell(_interval(evaluation, base))))
    return without_empty_columns(
        Table(
            f"On {write_number(evaluation.num_samples)} samples of the {evaluation.split} split",
            ("Metric", "Model", *(in_words(name) for name in variants), "Gain", "95 % sampling interval"),
            {"": rows},
        )
    )


def hole_table(evaluation: Evaluation) -> Table | None:
    """The metrics by the share of the picture that its hole takes; None where they were not told apart."""
    by_share: dict[tuple[int, int], dict[str, float]] = {}
    for metric, value in evaluation.metrics.items():
        name = parse_metric(metric)
        if name.share and not math.isnan(value):  # no picture has such a hole
            by_share.setdefault(name.share, {})["_".join(filter(None, (name.base, name.variant)))] = value
    rows = [(Cell(f"{low} to {high} %"), by_share[low, high], None) for low, high in sorted(by_share)]
    return _matrix("By the share of the picture that is hole", "Hole", rows)


def others_table(experiment: Experiment) -> Table | None:
    """The scores on other data sets, one a row; None where there are none."""
    rows = [
        (
            Cell(data, f"{write_number(other.num_samples)} {other.split}"),
            {metric: value for metric, value in other.metrics.items() if not parse_metric(metric).share},
            other.num_samples,
        )
        for data, other in sorted(experiment.others.items())
    ]
    return _matrix("On data that no part of the training came from", "Data", rows)


def class_tables(classes: ClassScores, counted: str) -> list[Table]:
    """The classes by their first score, the worst one first; of many classes the worst, the best, and all others.

    Classes without a score come last.
    """
    if not classes.scores:
        return []
    order = next(iter(classes.scores.values()))
    places = sorted(range(len(order)), key=lambda i: math.inf if math.isnan(order[i]) else order[i])
    columns = ("Class", counted.capitalize(), *classes.scores)

    def table(caption: str, chosen: Sequence[int]) -> Table:
        return Table(caption, columns, {"": [_class_row(classes, i) for i in chosen]})

    if len(places) <= MAX_CLASSES:
        return [table("Worst class first", places)]
    num_scored = sum(not math.isnan(score) for score in order)
    worst, more, unscored = places[: min(ENDS, num_scored)], places[ENDS:num_scored], places[num_scored:]
    return [
        table("The worst classes", worst),
        table("The best classes", more[::-1][:ENDS]),
        table("All others, the worst first", more[:-ENDS] + unscored),
    ]


def _matrix(caption: str, head: str, rows: Sequence[tuple[Cell, Mapping[str, float], int | None]]) -> Table | None:
    """A column per metric, with its baseline and the gain as notes; a row is a label, its metrics, and of how many."""
    names = [parse_metric(metric) for _, metrics, _ in rows for metric in metrics]
    bases = tuple(dict.fromkeys(name.base for name in names))
    used = {name.variant for name in names}
    baselines = [in_words(name) for name, variant in VARIANTS.items() if variant.is_baseline and name in used]

    def cell(metrics: Mapping[str, float], base: str, num_samples: int | None) -> Cell:
        baseline, gain = beside_baseline(metrics, base)
        note = "" if baseline is EMPTY else f"{baseline.text} ({gain.text})"
        return Cell(write_score(base, metrics.get(base), num_samples), note)

    group = [(label, *(cell(metrics, base, count) for base in bases)) for label, metrics, count in rows]
    below = f"; below each score {' or '.join(baselines)} (and the gain over it)" if baselines else ""
    return Table(caption + below, (head, *bases), {"": group}) if group else None


def _class_row(classes: ClassScores, i: int) -> Row:
    def score(name: str, value: float) -> Cell:
        if math.isnan(value):
            return EMPTY
        is_share = protocol(name).unit == "%" and 0 <= value <= 1
        return Cell(write_score(name, value, classes.counts[i]), share=value if is_share else None)

    scores = (score(name, values[i]) for name, values in classes.scores.items())
    return (Cell(classes.classes[i]), Cell(write_number(classes.counts[i])), *scores)


def beside_baseline(metrics: Mapping[str, float], metric: str) -> tuple[Cell, Cell]:
    """The metric's baseline, and the gain over it; both empty where there is none."""
    name = baseline_of(metric, metrics)
    if name is None or metric not in metrics:
        return EMPTY, EMPTY
    baseline = metrics[f"{metric}_{name}"]
    return Cell(write_score(metric, baseline), in_words(name)), Cell(write_gain(metric, metrics[metric], baseline))


def scored(metrics: Mapping[str, float], metric: str, num_samples: int | None = None) -> Cell:
    """The metric, with baseline and gain in words as the note: "bicubic 30.10 dB (+1.14 dB)"."""
    baseline, gain = beside_baseline(metrics, metric)
    note = f"{baseline.note} {baseline.text} ({gain.text})" if baseline is not EMPTY else ""
    return Cell(write_score(metric, metrics.get(metric), num_samples), note)


def _interval(evaluation: Evaluation, metric: str) -> str:
    share = evaluation.metrics.get(metric, math.nan)
    if not protocol(metric).of_samples or not 0 <= share <= 1 or evaluation.num_samples < 1:
        return NO_NUMBER
    low, high = sampling_interval(share, evaluation.num_samples)
    return f"{write_score(metric, low, evaluation.num_samples)} to {write_score(metric, high, evaluation.num_samples)}"


def without_empty_columns(table: Table) -> Table:
    """The table without the columns that hold nothing in any row."""
    rows = [row for group in table.groups.values() for row in group]
    kept = [i for i in range(len(table.columns)) if any(row[i] != EMPTY for row in rows)]
    return Table(
        table.caption,
        tuple(table.columns[i] for i in kept),
        {heading: [tuple(row[i] for i in kept) for row in group] for heading, group in table.groups.items()},
    )


def in_words(name: str) -> str:
    """A name of the code for reading."""
    return name.replace("_", " ")
