"""The experiments of params.yaml: choosing some, listing what papers print beside what was measured, and running them.

It knows the stages by their commands alone.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

from wavemix.config import Experiment, Params, Printed
from wavemix.errors import ConfigError, DataError

ROW = "{:42}{:17}{:11}{:>16}  {}"
PER_CENT = ("top1", "miou", "miou_authors")
"""Metrics that papers print in per cent and that are shares here."""


def selected(params: Params, patterns: Sequence[str], *, where: str | None = None) -> list[str]:
    """Names of experiments in the order of params.yaml.

    Args:
        params: The whole of params.yaml.
        patterns: Names, or shell patterns like ``cifar10_*``; none stands for all.
        where: Part of the place in a paper, such as ``table 13``: only those that it prints.

    Raises:
        ConfigError: A pattern matches nothing, or nothing is printed there.
    """
    names = list(params.experiments)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = ", ".join(get_close_matches(pattern, names, n=3))
            raise ConfigError(f"no experiment is called {pattern!r}" + (f"; near it: {near}" if near else ""))
    found = [name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]
    if where is not None:
        found = [name for name in found if _printed_at(params.experiments[name], where)]
        if not found:
            places = sorted({one.where for experiment in params.experiments.values() for one in experiment.paper})
            raise ConfigError(f"nothing is printed at {where!r}; there are {', '.join(places)}")
    return found


def _printed_at(experiment: Experiment, where: str) -> bool:
    """``table 1`` is not in ``table 13``, and is in ``WaveMix, table 1``."""
    return any(f"{where}," in f"{one.where}," for one in experiment.paper)


def listing(params: Params, names: Sequence[str]) -> Iterator[str]:
    """Lines of a table: name, data, what was measured, what is printed and where, and notes below.

    Raises:
        DataError: A result on disk is damaged.
    """
    yield ROW.format("experiment", "data", "measured", "printed", "where")
    notes: dict[str, str] = {}
    for name in names:
        experiment = params.experiments[name]
        folder = Path(params.storage.results) / "experiments" / name
        told = [name, experiment.data]
        for printed in experiment.paper:
            mark = f" [{notes.setdefault(printed.note, str(len(notes) + 1))}]" if printed.note else ""
            score = "" if printed.score is None else f"{printed.score:g}"
            yield ROW.format(*told, _measured(folder, printed), score + mark, printed.where)
            told = ["", ""]
        if not experiment.paper:
            yield ROW.format(*told, _measured(folder), "", "").rstrip()
    for note, number in notes.items():
        yield f"[{number}] {note}"


def _measured(folder: Path, printed: Printed | None = None) -> str:
    """What compares with the printed number, in its unit; nothing where that has not been scored yet."""
    evaluation = folder / "evaluation"
    scores = (evaluation / "others" / printed.data if printed and printed.data else evaluation) / "metrics.json"
    if not scores.exists():
        return ""
    try:
        goal, _ = json.loads((folder / "train" / "model.json").read_text())["goal"]
        metric = printed.metric if printed and printed.metric else goal
        score = float(json.loads(scores.read_text())["metrics"][metric])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: not a whole result ({error}); run `wavemix run {folder.name}` again") from None
    return f"{100 * score:.2f} %" if metric in PER_CENT else f"{score:.4g}"


def run(params: Params, names: Sequence[str], *, options: Sequence[str] = ()) -> int:
    """Prepare, train and evaluate each experiment, then write the report; what is finished already takes seconds.

    Args:
        params: What ``options`` make of params.yaml.
        names: Experiments, in the order to be run.
        options: ``--params`` and ``--set`` as the stages take them.

    Returns:
        0, or the exit code of the first stage that failed; it has said why.
    """
    for name in names:
        experiment = params.experiments[name]
        needed = [data for data in (experiment.data, *experiment.scored_on) if not _is_prepared(params, data)]
        stages = [*(("prepare", data) for data in needed), ("train", name), ("evaluate", name)]
        for stage, what in stages:
            print(f"{stage} {what}", file=sys.stderr, flush=True)
            done = subprocess.run([sys.executable, "-m", f"pipelines.{stage}", what, *options], check=False)
            if done.returncode:
                return done.returncode
    return subprocess.run([sys.executable, "-m", "pipelines.report", *options], check=False).returncode


def _is_prepared(params: Params, data: str) -> bool:
    return (Path(params.storage.shards) / data / "manifest.json").exists()
