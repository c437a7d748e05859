"""The tables: what stands beside what, and in which order."""

import math
from dataclasses import replace

import pytest

from wavemix.report.overview import cost_table, in_order, overview_table
from wavemix.report.read import read_results
from wavemix.report.records import ClassScores
from wavemix.report.tables import class_tables, hole_table, metric_table, others_table


@pytest.fixture
def experiments(standing_four):
    return {experiment.name: experiment for experiment in read_results(standing_four.root).experiments}


def texts(table):
    """The rows as plain texts, with ordinary spaces."""
    return [
        [cell.text.replace("\N{NARROW NO-BREAK SPACE}", " ") for cell in row]
        for rows in table.groups.values()
        for row in rows
    ]


def with_score(experiment, name, score, **changes):
    training = replace(experiment.training, **changes)
    metrics = {} if score is None else {training.goal.metric: score}
    return replace(experiment, name=name, training=training, evaluation=replace(experiment.evaluation, metrics=metrics))


def test_only_scores_of_one_metric_on_the_same_data_are_ranked(experiments):
    digits, holes = experiments["digits"], experiments["holes"]
    some = [
        replace(digits, name="untested", evaluation=None),
        with_score(digits, "low", 0.7),
        with_score(digits, "nan", math.nan),
        with_score(digits, "high", 0.9),
        with_score(digits, "other data", 0.99, manifest_sha256="ff" * 32),
        with_score(holes, "large error", 0.2),
        with_score(holes, "small error", 0.1),
    ]
    names = ["high", "low", "nan", "untested", "other data", "small error", "large error"]
    assert [experiment.name for experiment in in_order(some)] == names


def test_the_overview_groups_by_task_and_leads_to_the_experiments(experiments):
    table = overview_table(in_order(list(experiments.values())))
    assert list(table.groups) == ["Classification", "Inpainting", "Segmentation", "Super resolution"]
    assert [row[0].target for rows in table.groups.values() for row in rows] == [f"experiment-{i}" for i in range(1, 6)]


def test_a_column_that_is_empty_everywhere_is_left_out(experiments):
    assert "Baseline" in overview_table([experiments["digits"], experiments["holes"]]).columns
    assert "Baseline" not in overview_table([experiments["digits"]]).columns


def test_the_cost_table_holds_what_was_measured(experiments):
    assert cost_table([experiments["digits_deep"]]) is None
    table = cost_table([experiments["digits_deep"], experiments["digits"]])
    assert [row[0].target for rows in table.groups.values() for row in rows] == ["experiment-2"]


def test_metrics_have_their_variants_and_the_baseline_in_columns(experiments):
    table = metric_table(experiments["photos_x2"].evaluation, "psnr_y")
    assert table.columns == ("Metric", "Model", "x8", "bicubic", "Gain")
    assert texts(table) == [
        ["psnr_y", "31.24 dB", "31.35 dB", "30.10 dB", "+1.14 dB"],
        ["ssim_y", "0.9131", "0.9142", "0.8932", "+0.0199"],
        ["psnr_y_authors", "29.90 dB", "\N{EN DASH}", "\N{EN DASH}", "\N{EN DASH}"],
        ["loss", "4e-4", "\N{EN DASH}", "\N{EN DASH}", "\N{EN DASH}"],
    ]


def test_shares_of_the_hole_are_rows_but_for_those_that_no_hole_has(experiments):
    table = hole_table(experiments["holes"].evaluation)
    assert table.columns == ("Hole", "l1_hole")
    assert texts(table) == [["0 to 10 %", "0.03100"], ["10 to 20 %", "0.05520"]]
    assert "mean fill" in table.caption
    assert hole_table(experiments["photos_x2"].evaluation) is None


def test_other_data_are_rows(experiments):
    assert texts(others_table(experiments["photos_x2"])) == [["set5_x2", "34.50 dB"]]
    assert others_table(experiments["holes"]) is None


def test_a_share_is_beside_its_sampling_interval(experiments):
    # Wilson's interval of 348 of 360.
    assert texts(metric_table(experiments["digits"].evaluation, "top1"))[0] == ["top1", "96.7 %", "94.3 % to 98.1 %"]


def scored(*scores):
    names = tuple(f"class {i}" for i in range(len(scores)))
    return ClassScores(names, (5000,) * len(scores), {"iou": scores})


def test_few_classes_stand_in_one_table_with_the_worst_first():
    (table,) = class_tables(scored(0.5, math.nan, 0.25), "pixels")
    assert table.columns == ("Class", "Pixels", "iou")
    assert texts(table) == [
        ["class 2", "5 000", "25.00 %"],
        ["class 0", "5 000", "50.00 %"],
        ["class 1", "5 000", "\N{EN DASH}"],
    ]
    assert [row[2].share for row in table.groups[""]] == [0.25, 0.5, None]


@pytest.mark.parametrize("num_scored", [30, 24, 12, 3, 0])
def test_of_many_classes_each_stands_in_one_of_three_tables(num_scored):
    scores = [i / 100 for i in range(num_scored)] + [math.nan] * (30 - num_scored)
    worst, best, others = ([row[0] for row in texts(table)] for table in class_tables(scored(*scores), "pixels"))
    assert worst == [f"class {i}" for i in range(min(8, num_scored))]
    assert best == [f"class {i}" for i in range(num_scored - 1, max(7, num_scored - 9), -1)]
    assert sorted(worst + best + others) == sorted(f"class {i}" for i in range(30))


def test_a_table_without_scores_is_none():
    assert class_tables(ClassScores(("a",), (1,), {}), "samples") == []
