"""The figures: right numbers, the same bytes again, and no trouble with odd results."""

import math
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from wavemix.report.figures import draw_confusion, draw_curves, draw_trials, thin, to_png, to_svg
from wavemix.report.read import read_results
from wavemix.report.records import Confusion, Curve, Sweep, Trial


@pytest.fixture
def experiment(full):
    return read_results(full.root).experiments[0]


def texts(figure):
    """All text of a figure's SVG, which also has to be well-formed XML."""
    root = ET.fromstring(to_svg(figure, "test"))
    return [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]


def square(k, count=1):
    names = tuple(f"class {i}" for i in range(k))
    return Confusion(names, tuple(tuple(count if i == j else 0 for j in range(k)) for i in range(k)))


def test_the_curves_show_loss_score_and_learning_rate(experiment):
    figure = draw_curves(experiment)
    loss, score, rate = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "top1", "learning rate"]
    assert [line.get_label() for line in loss.lines[:2]] == ["train", "eval"]
    np.testing.assert_array_equal(score.lines[0].get_xdata(), experiment.curves["eval/top1"].steps)
    np.testing.assert_array_equal(score.lines[0].get_ydata(), experiment.curves["eval/top1"].values)
    assert all(list(axes.lines[-1].get_xdata()) == [400, 400] for axes in (loss, score, rate))


@pytest.mark.parametrize(
    "rows",
    [
        "step\n",
        "step,train/loss\n10,1\n",
        "step,train/loss\n10,nan\n20,inf\n",
        "step,eval/loss,eval/top1,train/lr\n10,0,0,0\n20,0,0,0\n",
    ],
)
def test_curves_of_little_or_nothing(full, rows):
    full.put("experiments/digits/train/curves.csv", rows)
    figure = draw_curves(read_results(full.root).experiments[0])
    assert texts(figure)
    assert to_png(figure).startswith(b"\x89PNG")


def test_thin_keeps_the_mean_of_every_stretch():
    np.testing.assert_array_equal(thin([1.0, 2.0, 3.0], max_points=3), [1, 2, 3])
    np.testing.assert_array_equal(thin([1.0, 3.0, 5.0, 7.0, 10.0], max_points=3), [2, 6, 10])
    assert len(thin([0.0] * 123_456, max_points=1000)) <= 1000


def test_counts_stand_in_the_cells_of_a_small_matrix_only():
    small = Confusion(("cat", "dog"), ((7, 0), (12, 5)))
    assert {"7", "12", "5", "cat", "dog"} <= set(texts(draw_confusion(small)))
    assert "0" not in texts(draw_confusion(small))
    assert "4321" in texts(draw_confusion(square(20, count=4321)))
    assert "4321" not in texts(draw_confusion(square(21, count=4321)))
    assert "class 20" in texts(draw_confusion(square(21)))
    assert "class 20" not in texts(draw_confusion(square(60)))


def test_a_matrix_of_pixels_shows_per_cent_of_the_row():
    pixels = Confusion(("sky", "pole"), ((98_000_000, 2_000_000), (3, 997)))
    shown = texts(draw_confusion(pixels, in_per_cent=True))
    assert [text for text in shown if text.isdigit()] == ["98", "2", "100"]  # 0.3 % is as good as nothing


def test_decibels_are_named_at_their_curve(four):
    photos = read_results(four.root).experiments[3]
    assert photos.training.goal.metric == "psnr_y"
    curve = {"eval/psnr_y": Curve((10, 20), (28.0, math.inf))}
    figure = draw_curves(replace(photos, curves=curve))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["psnr_y (dB)"]
    assert to_png(figure).startswith(b"\x89PNG")


def test_a_class_without_samples_leaves_its_row_empty():
    figure = draw_confusion(Confusion(("a", "b"), ((0, 0), (0, 3))))
    assert len(figure.axes[0].patches) == 1


def test_names_are_text_and_not_markup():
    name = "<script>$x^2$&"
    figure = draw_confusion(Confusion((name, "\N{CJK UNIFIED IDEOGRAPH-72AC}"), ((1, 0), (0, 1))))
    assert texts(figure).count(name) == 2
    assert b"<script" not in to_svg(figure, "test")
    to_png(figure)  # no letters for the second name, and no warning of it


def test_trials_have_a_panel_for_each_searched_value(full):
    sweep = read_results(full.root).sweeps[0]
    shown = [axes for axes in draw_trials(sweep).axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in shown] == ["recipe.phases.0.lr", "task.model.dim", "task.model.stem"]
    others, stopped, best = shown[0].lines
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([0.00081], [0.972])
    assert len(others.get_xdata()) == 2  # two of the six have no score
    assert (list(stopped.get_ydata()), stopped.get_marker()) == ([0.91], "x")


@pytest.mark.parametrize(
    "trials",
    [
        (),
        (Trial("a", "failed", None, None, None, {}),),
        (Trial("a", "finished", math.nan, 1, 1.0, {}),),
        (Trial("a", "finished", 0.5, 1, 1.0, {}), Trial("b", "stopped early", 0.4, 1, 0.5, {})),
    ],
)
def test_sweeps_of_little_or_nothing(trials):
    assert texts(draw_trials(Sweep("s", (), trials, "")))


def test_the_same_input_gives_the_same_bytes(experiment):
    first, second = draw_curves(experiment), draw_curves(experiment)
    assert to_svg(first, "a") == to_svg(second, "a") == to_svg(first, "a")
    assert to_png(first) == to_png(second)
    assert b"<dc:date>" not in to_svg(first, "a")


def test_the_callers_settings_neither_matter_nor_change(experiment):
    import matplotlib as mpl  # noqa: PLC0415

    before = to_svg(draw_curves(experiment), "a")
    with mpl.rc_context({"font.size": 30, "axes.grid": False, "lines.linewidth": 9}):
        assert to_svg(draw_curves(experiment), "a") == before
        assert mpl.rcParams["font.size"] == 30
