"""Decides what the report says, in which order and in which words, and puts page and figures on disk.

It does not know how a result file is read or a figure is drawn; the markup itself is in ``page.html.j2``.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from wavemix.files import write_aside
from wavemix.report.faults import Faults, fault_table, read_faults
from wavemix.report.figures import MAX_COUNTS, draw_confusion, draw_curves, draw_trials, to_png, to_svg
from wavemix.report.overview import cost_table, in_order, overview_table
from wavemix.report.read import read_results
from wavemix.report.records import Confusion, Curve, Experiment, Results, Sample, Sweep
from wavemix.report.scores import glossary
from wavemix.report.style import PALETTE
from wavemix.report.tables import class_tables, hole_table, in_words, metric_table, others_table, scored
from wavemix.report.writing import write_number, write_score

KINDS: Final = ("curves", "confusion", "trials")  # what a figure's name ends with
MAX_CONFUSIONS: Final = 8  # lines in the list of frequent confusions
MAX_BYTES: Final = 1_500_000  # of an experiment's pictures: large ones would make the page too heavy to send


def write_report(results: Path, target: Path, *, faults: Path | None = None) -> Path:
    """Write the page and its figures.

    Everything is rendered before the first file is written, and each file gets its name once it is whole: an error
    leaves an earlier report as it was. The same results give the same bytes. Figures of experiments that are gone are
    removed.

    Args:
        results: The folder with ``experiments/`` and ``sweeps/``.
        target: The folder for ``index.html`` and ``figures/``; made if it is missing.
        faults: The file that ``benchmarks/faults.py`` writes, which may be missing.

    Returns:
        The path of ``index.html``, a page that needs no other file.

    Raises:
        DataError: If there are no results, or a file is missing, damaged or contradicts another.
    """
    content = read_results(results)
    svgs, pngs = draw_figures(content)
    page = render_page(content, svgs, read_faults(faults) if faults else None).encode()
    folder = target / "figures"
    for name in svgs:
        write_aside(folder / f"{name}.svg", svgs[name])
        write_aside(folder / f"{name}.png", pngs[name])
    for path in sorted(folder.glob("*")):
        if path.stem not in svgs and path.stem.endswith(tuple(f"-{kind}" for kind in KINDS)):
            path.unlink()
    index = target / "index.html"
    write_aside(index, page)
    return index


def figures_of(target: Path, experiment: str) -> list[Path]:
    """The PNG figures of one experiment in a written report; empty if it has none."""
    paths = [target / "figures" / f"{experiment}-{kind}.png" for kind in KINDS[:2]]
    return [path for path in paths if path.is_file()]


def draw_figures(results: Results) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Every figure as SVG and as PNG, by name: ``<experiment>-curves`` and so on."""
    figures = {}
    for experiment in results.experiments:
        figures[f"{experiment.name}-curves"] = draw_curves(experiment)
        if experiment.evaluation is not None and experiment.evaluation.confusion is not None:
            in_per_cent = experiment.training.counted == "pixels"
            figures[f"{experiment.name}-confusion"] = draw_confusion(
                experiment.evaluation.confusion, in_per_cent=in_per_cent
            )
    for sweep in results.sweeps:
        figures[f"{sweep.name}-trials"] = draw_trials(sweep)
    svgs = {name: to_svg(figure, salt=name) for name, figure in figures.items()}
    return svgs, {name: to_png(figure) for name, figure in figures.items()}


def render_page(results: Results, svgs: Mapping[str, bytes], faults: Faults | None = None) -> str:
    """The page as HTML; everything that comes from a file is escaped.

    Args:
        results: What is reported.
        svgs: The figures by name, as ``draw_figures`` makes them.
        faults: What was done to trainings, and what it cost.
    """
    environment = Environment(
        loader=PackageLoader("wavemix.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=write_number, cell=_write_cell, words=in_words)
    experiments = in_order(results.experiments)
    return environment.get_template("page.html.j2").render(
        experiments=experiments,
        sweeps=results.sweeps,
        overview=overview_table(experiments),
        costs=cost_table(experiments),
        faults=fault_table(faults) if faults else None,
        figures={name: _inline(svg, f"f{i}") for i, (name, svg) in enumerate(svgs.items(), start=1)},
        palette=PALETTE,
        max_counts=MAX_COUNTS,
        score=write_score,
        scored=scored,
        metric_table=metric_table,
        hole_table=hole_table,
        others_table=others_table,
        class_tables=class_tables,
        glossary=glossary(_metrics(results)),
        confusions=frequent_confusions,
        shown_samples=shown_samples,
        curves_text=_curves_text,
        confusion_text=_confusion_text,
        trials_text=_trials_text,
        trials_ended=_trials_ended,
        sample_text=_sample_text,
        data_uri=_data_uri,
    )


def shown_samples(samples: Sequence[Sample]) -> Sequence[Sample]:
    """As many samples as have room on the page, and at least one; the evaluation puts the telling ones first."""
    sizes = accumulate(len(sample.png) for sample in samples)
    return samples[: max(1, sum(size <= MAX_BYTES for size in sizes))]


def frequent_confusions(confusion: Confusion) -> list[tuple[str, str, int, int]]:
    """The most frequent confusions: true class, predicted class, how often, out of how many of the true class.

    At most eight, most frequent first; equals keep the order of the classes.
    """
    found = [
        (truth, prediction, count, sum(row))
        for truth, row in zip(confusion.classes, confusion.counts, strict=True)
        for prediction, count in zip(confusion.classes, row, strict=True)
        if count and truth != prediction
    ]
    return sorted(found, key=lambda entry: -entry[2])[:MAX_CONFUSIONS]


def _metrics(results: Results) -> list[str]:
    """Every metric with a number on the page; a name may come again."""
    names = [experiment.training.goal.metric for experiment in results.experiments]
    for experiment in results.experiments:
        for evaluation in (experiment.evaluation, *experiment.others.values()):
            if evaluation is not None:
                names += [*evaluation.metrics, *(evaluation.classes.scores if evaluation.classes else ())]
    return names


def _curves_text(experiment: Experiment) -> str:
    """What a reader who cannot see the curves needs to know."""
    goal = experiment.training.goal.metric
    parts = [
        f"{name.replace('/', ' ')} from {write_score(name.partition('/')[2], curve.values[0])} at step "
        f"{write_number(curve.steps[0])} to {write_score(name.partition('/')[2], curve.values[-1])} at step "
        f"{write_number(curve.steps[-1])}"
        for name, curve in _shown_curves(experiment.curves, goal)
    ]
    return f"Curves of {experiment.name}: " + ("; ".join(parts) or "nothing was measured") + "."


def _shown_curves(curves: Mapping[str, Curve], goal: str) -> list[tuple[str, Curve]]:
    names = dict.fromkeys(("train/loss", "eval/loss", f"train/{goal}", f"eval/{goal}", "train/lr"))
    return [(name, curves[name]) for name in names if name in curves]


def _confusion_text(confusion: Confusion, counted: str) -> str:
    total = sum(map(sum, confusion.counts))
    right = sum(row[i] for i, row in enumerate(confusion.counts))
    return f"Confusion matrix of {len(confusion.classes)} classes: {right} of {total} {counted} lie on the diagonal."


def _sample_text(sample: Sample) -> str:
    """What stands in the place of a picture."""
    what = "input, answer and truth side by side" if sample.is_triple else f"taken for {sample.prediction}"
    return ", ".join(filter(None, (f"Sample {sample.key}: {what}", sample.caption)))


def _trials_text(sweep: Sweep) -> str:
    against = ", ".join(sweep.parameters) or "rank"
    return f"Score of {len(sweep.trials)} trials against {against}; the table holds the same numbers."


def _trials_ended(sweep: Sweep) -> str:
    """How many trials ended how, and how many epochs all of them took."""
    ended = Counter(trial.status for trial in sweep.trials)
    epochs = sum(trial.epochs or 0 for trial in sweep.trials)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(ended.items()))
    return f"{len(sweep.trials)} trials: {counts}; {write_number(round(epochs, 1))} epochs in all."


def _write_cell(cell: str) -> str:
    """A searched value: long fractions are shortened, words stay as they are."""
    try:
        return cell if len(cell) <= 7 else f"{float(cell):.4g}"
    except ValueError:
        return cell


def _data_uri(sample: Sample) -> str:
    return "data:image/png;base64," + base64.b64encode(sample.png).decode("ascii")


def _inline(svg: bytes, prefix: str) -> Markup:
    """A figure's SVG for use inside the page: colours of the page, names of its own, no fixed size.

    matplotlib has escaped what the text holds, so that the result is markup and not to be escaped again.
    """
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)

    def adapt(tag: re.Match[str]) -> str:
        # Names must be unique on a page, and every figure calls its parts axes_1, patch_1 and so on.
        code = re.sub(r'\bid="', rf'id="{prefix}-', tag[0])
        code = re.sub(r'(href="#|url\(#)', rf"\1{prefix}-", code)
        for name, color in PALETTE.items():
            code = re.sub(rf"((?:fill|stroke): ){color}\b", rf"\1var(--{name})", code)
        return code

    text = re.sub(r"<[^>]*>", adapt, text)  # inside tags only: a class may be called 'id="x"'
    return Markup(text.strip())
