"""Decides what the curves, the confusion matrix and the trials of a sweep look like.

It does not know of files or of the page; a figure is handed out as bytes in the two formats that are kept.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from wavemix.report.records import Confusion, Curve, Experiment, Sweep, Trial
from wavemix.report.scores import protocol
from wavemix.report.style import PALETTE, style

WIDTH: Final = 4.8  # inches: 345 points, so that 9-point letters stay readable on a phone without zooming
MAX_POINTS: Final = 1000  # of one curve; more are averaged, see ``thin``
MAX_COUNTS: Final = 20  # classes up to which the matrix has room for numbers
MAX_NAMES: Final = 40  # classes up to which it has room for names
MAX_LEVELS: Final = 8  # different learning rates up to which their axis is logarithmic


def draw_curves(experiment: Experiment) -> Figure:
    """Loss, the goal's metric and the learning rate over the steps, as far as each was measured.

    The dashed line is the step whose weights were kept.
    """
    curves, metric = experiment.curves, experiment.training.goal.metric
    shown = [name for name in dict.fromkeys(("loss", metric)) if f"train/{name}" in curves or f"eval/{name}" in curves]
    heights = [1.0] * len(shown) + [0.38] * ("train/lr" in curves)
    with style():
        figure = Figure(figsize=(WIDTH, 0.55 + 1.85 * sum(heights or [0.3])), layout="constrained")
        if not heights:
            figure.text(0.5, 0.5, "nothing was measured", ha="center", color=PALETTE["muted"])
            return figure
        panels = list(figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0])
        for axes, name in zip(panels, shown, strict=False):
            _draw_metric(axes, name, curves.get(f"train/{name}"), curves.get(f"eval/{name}"))
        if "train/lr" in curves:
            _draw_rate(panels[-1], curves["train/lr"])
        for axes in panels:
            axes.axvline(experiment.training.step, color=PALETTE["muted"], linewidth=0.8, linestyle=(0, (4, 3)))
        panels[-1].set_xlabel("step")
        panels[-1].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return figure


def draw_confusion(confusion: Confusion, *, in_per_cent: bool = False) -> Figure:
    """True classes in rows, predicted ones in columns; the colour is the square root of the share of the row.

    The root makes a confusion of one in a hundred visible. Right answers and wrong ones have colours of their own.
    Up to 20 classes the counts stand in the cells, or per cent of the row, which suit millions of pixels (zero as
    nothing); up to 40 the names stand at the sides.
    """
    counts = np.array(confusion.counts, dtype=np.float64).reshape(len(confusion.classes), len(confusion.classes))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    strength = np.sqrt(shares)
    k = len(confusion.classes)
    with style():
        figure = Figure(figsize=(WIDTH, WIDTH), layout="constrained")
        axes = figure.add_subplot()
        axes.set(xlim=(-0.5, k - 0.5), ylim=(k - 0.5, -0.5), aspect="equal", xlabel="prediction", ylabel="truth")
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(True)
        if k <= MAX_COUNTS:
            _draw_cells(axes, np.rint(100 * shares) if in_per_cent else counts, strength)
        else:
            # One picture instead of k*k shapes. It cannot follow the page's colours: see-through, it suits both.
            pixels = np.empty((k, k, 4))
            pixels[..., :3], pixels[..., 3] = to_rgb(PALETTE["alert"]), strength
            pixels[np.arange(k), np.arange(k), :3] = to_rgb(PALETTE["accent"])
            axes.imshow(pixels, interpolation="none", aspect="equal")
        if k <= MAX_NAMES:
            size = min(9.0, 170 / max(k, 1))
            names = [_shorten(name) for name in confusion.classes]
            upright = max(map(len, names), default=0) * k > 60
            axes.set_xticks(range(k), names, fontsize=size, rotation=90 if upright else 0)
            axes.set_yticks(range(k), names, fontsize=size)
        else:
            axes.set_xlabel(f"prediction (index of {k:,} classes)")
            axes.set_ylabel("truth")
    return figure


def draw_trials(sweep: Sweep) -> Figure:
    """The trials' score against each searched parameter, one panel a parameter; the best trial is a filled diamond, and
    those that were stopped early are crosses."""
    scored = [trial for trial in sweep.trials if trial.scored]
    names: tuple[str | None, ...] = sweep.parameters
    columns = min(2, max(1, len(names)))
    rows = max(1, math.ceil(len(names) / columns))
    with style():
        figure = Figure(figsize=(WIDTH, 0.3 + 1.9 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes in panels.flat[max(1, len(names)) :]:
            axes.set_visible(False)
        for axes, name in zip(panels.flat, names or (None,), strict=False):
            _draw_parameter(axes, name, scored)
        for axes in panels[:, 0]:
            axes.set_ylabel("score")
            axes.yaxis.set_major_locator(MaxNLocator(5))
    return figure


def to_svg(figure: Figure, salt: str) -> bytes:
    """The figure as SVG; the same figure and salt give the same bytes. Text stays text."""
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with style(salt):
        return _save(figure, "svg", nothing)


def to_png(figure: Figure) -> bytes:
    """The figure as PNG with 200 pixels an inch."""
    FigureCanvasAgg(figure)
    with style():
        return _save(figure, "png", {"Software": None})


def thin(values: Sequence[float], max_points: int = MAX_POINTS) -> np.ndarray:
    """Means of neighbouring values, as few neighbours each as give at most ``max_points`` points.

    A long run's curve would otherwise outweigh the rest of the page; its noise could not be seen apart anyhow.
    """
    width = max(1, math.ceil(len(values) / max_points))
    starts = np.arange(0, len(values), width)
    sums = np.add.reduceat(np.asarray(values, dtype=np.float64), starts)
    return np.asarray(sums / np.diff(np.append(starts, len(values))))


def _draw_metric(axes: Axes, name: str, train: Curve | None, held_out: Curve | None) -> None:
    for curve, label, color, width in ((train, "train", "muted", 0.9), (held_out, "eval", "accent", 1.5)):
        if curve is None:
            continue
        steps, values = thin(curve.steps), thin(curve.values)
        few = len(steps) <= 40
        axes.plot(
            steps,
            values,
            label=label,
            color=PALETTE[color],
            linewidth=width,
            marker="o" if (label == "eval" and few) or len(steps) == 1 else "",
            markersize=3,
        )
    finite = np.concatenate([thin(c.values) for c in (train, held_out) if c is not None])
    finite = finite[np.isfinite(finite)]
    if name == "loss" and finite.size and finite.min() > 0 and finite.max() > 20 * finite.min():
        axes.set_yscale("log")
        _tick_powers(axes.yaxis)
    unit = protocol(name).unit
    if unit == "%":
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes.set_title(f"{name} (dB)" if unit == "dB" else name)
    axes.legend(loc="best", handlelength=1.4, borderaxespad=0.2)


def _draw_rate(axes: Axes, rate: Curve) -> None:
    steps, values = thin(rate.steps), thin(rate.values)
    axes.plot(steps, values, color=PALETTE["ink"], linewidth=1, drawstyle="steps-post")
    positive = np.unique(values[np.isfinite(values) & (values > 0)])
    if 1 < positive.size <= MAX_LEVELS and positive.max() > 8 * positive.min():
        axes.set_yscale("log")  # of a few levels; a cosine's end near 0 would take up most of it
        _tick_powers(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(2))
    if 0 < positive.size <= 2:  # one or two phases: their rates are what one wants to read
        axes.set_yticks(positive, [f"{value:g}" for value in positive])
    axes.set_title("learning rate")


def _draw_cells(axes: Axes, numbers: np.ndarray, strength: np.ndarray) -> None:
    k = len(numbers)
    size = 9.0 if k <= 10 else 6.0
    for i, j in zip(*np.nonzero(numbers), strict=True):
        color = PALETTE["accent" if i == j else "alert"]
        # Not quite up to the edge: neighbouring cells stay apart without lines between them.
        axes.add_patch(Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, color=color, alpha=strength[i, j], linewidth=0))
        on_color = strength[i, j] > 0.6
        axes.text(
            j,
            i,
            f"{int(numbers[i, j])}",
            ha="center",
            va="center_baseline",
            fontsize=size,
            color=PALETTE["paper" if on_color else "ink"],
        )


def _draw_parameter(axes: Axes, name: str | None, trials: Sequence[Trial]) -> None:
    """Draw one panel: ``name`` None is the sweep without parameters, whose trials stand by rank."""
    cells = [trial.parameters[name] if name is not None else str(rank) for rank, trial in enumerate(trials, start=1)]
    numbers = [_number(cell) for cell in cells]
    places: list[float] = [value for value in numbers if value is not None]
    if len(places) < len(cells):  # words: side by side in a fixed order
        words = sorted(set(cells))
        places = [float(words.index(cell)) for cell in cells]
        axes.set_xticks(range(len(words)), [_shorten(word) for word in words])
        axes.set_xlim(-0.5, len(words) - 0.5)
    elif places and min(places) > 0 and max(places) > 20 * min(places):
        axes.set_xscale("log")
        _tick_powers(axes.xaxis)
    elif len(set(places)) <= 5:
        axes.set_xticks(sorted(set(places)), [f"{place:g}" for place in sorted(set(places))])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    points = list(zip(places, trials, strict=True))
    others, hollow = points[1:], {"color": PALETTE["muted"], "markerfacecolor": "none", "markersize": 4}
    _mark(axes, [point for point in others if not point[1].stopped_early], "o", **hollow)
    _mark(axes, [point for point in others if point[1].stopped_early], "x", **hollow)
    _mark(axes, points[:1], "D", color=PALETTE["accent"], markersize=5.5)
    axes.set_xlabel(_shorten(name or "rank", 34))


def _mark(axes: Axes, points: Sequence[tuple[float, Trial]], mark: str, **look: Any) -> None:
    axes.plot([place for place, _ in points], [trial.score or 0.0 for _, trial in points], mark, **look)


def _tick_powers(axis: Axis) -> None:
    """Write the ticks of a logarithmic axis as plain numbers: the built-in labels need mathematical markup."""
    low, high = sorted(axis.get_view_interval())
    axis.set_major_locator(LogLocator(subs=(1.0,) if high > 30 * low else (1.0, 3.0)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _shorten(name: str, limit: int = 16) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _save(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    buffer = BytesIO()
    with warnings.catch_warnings():
        # The built-in font has no letters for some scripts; the PNG shows boxes then, the SVG the reader's own font.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format=kind, dpi=200, metadata=metadata)
    return buffer.getvalue()
