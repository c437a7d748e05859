"""Decides which files under ``results/`` make up an experiment and a sweep, and checks that they fit together.

It does not know how anything is drawn or worded, nor what wrote the files.
"""

from __future__ import annotations

import json
from pathlib import Path

from wavemix.errors import DataError
from wavemix.report.evaluation import read_cost, read_evaluation, read_others
from wavemix.report.parse import (
    damaged,
    field,
    number,
    optional_field,
    read_csv,
    read_json,
    read_text,
    sub_folders,
    whole,
)
from wavemix.report.records import Curve, Experiment, Goal, Results, Sweep, Training, Trial

FORMAT = 1  # of model.json; a file of another format was written by another version of the train stage


def read_results(results: Path) -> Results:
    """Read every experiment and sweep under a results folder.

    Args:
        results: The folder that holds ``experiments/`` and ``sweeps/``; either may be missing.

    Raises:
        DataError: If there is neither an experiment nor a sweep, or a file is missing, damaged or contradicts another.
    """
    experiments = tuple(read_experiment(folder) for folder in sub_folders(results / "experiments"))
    sweeps = tuple(read_sweep(folder) for folder in sub_folders(results / "sweeps"))
    if not experiments and not sweeps:
        raise DataError(
            f"No results under {results}\n"
            "  looked for experiments/*/train/model.json and sweeps/*/trials.csv\n"
            "  `dvc repro` makes them."
        )
    return Results(experiments, sweeps)


def read_experiment(folder: Path) -> Experiment:
    """Read one experiment; its name is the folder's.

    Raises:
        DataError: If a file of its training is missing, or any file is damaged or contradicts another.
    """
    training = _read_training(folder / "train" / "model.json")
    curves = _read_curves(folder / "train" / "curves.csv")
    return Experiment(
        name=folder.name,
        training=training,
        curves=curves,
        evaluation=read_evaluation(folder / "evaluation", training),
        others=read_others(folder / "evaluation" / "others", training),
        cost=read_cost(folder / "evaluation" / "cost.json"),
    )


def read_sweep(folder: Path) -> Sweep:
    """Read one sweep; its name is the folder's.

    The rows of trials.csv are best first: the tune stage knows the better direction of its score, this file does not.

    Raises:
        DataError: If trials.csv is missing or a file is damaged.
    """
    path = folder / "trials.csv"
    told = ["trial", "status", "score", "step", "epochs", "from"]
    columns, rows = read_csv(path, told)
    parameters = tuple(name for name in columns if name not in told)
    trials = [
        Trial(
            name=row["trial"],
            status=row["status"],
            score=number(row["score"], "score", path) if row["score"] else None,
            step=whole(row["step"], "step", path) if row["step"] else None,
            epochs=number(row["epochs"], "epochs", path) if row["epochs"] else None,
            parameters={name: row[name] for name in parameters},
            source=row["from"],
        )
        for row in rows
    ]
    best = folder / "best.yaml"
    return Sweep(
        name=folder.name,
        parameters=parameters,
        trials=tuple(sorted(trials, key=lambda trial: not trial.scored)),
        best=read_text(best) if best.exists() else "",
    )


def _goal(data: object, path: Path) -> Goal:
    goal = field(data, "goal", list, path)
    if len(goal) != 2 or not isinstance(goal[0], str) or goal[1] not in ("max", "min"):
        raise damaged(path, 'Field \'goal\' should be a metric\'s name and "max" or "min".')
    return Goal(goal[0], goal[1])


def _read_training(path: Path) -> Training:
    model = read_json(path)
    if (found := field(model, "format", int, path)) != FORMAT:
        raise damaged(path, f"Format {found}; this version of the report reads format {FORMAT}.")
    task = field(model, "task", dict, path)
    classes = optional_field(model, "classes", list, path) or []
    data = field(model, "data", dict, path)
    samples = field(data, "samples", dict, path)
    return Training(
        run_key=field(model, "run_key", str, path),
        task=field(task, "name", str, path),
        config=json.dumps(task, indent=2, ensure_ascii=False),
        classes=tuple(str(name) for name in classes),
        goal=_goal(model, path),
        step=field(model, "step", int, path),
        num_steps=optional_field(model, "num_steps", int, path),
        num_parameters=field(model, "num_parameters", int, path),
        data=field(data, "name", str, path),
        manifest_sha256=field(data, "manifest_sha256", str, path),
        num_samples={str(split): field(samples, split, int, path) for split in samples},
        code_version=field(model, "code_version", str, path),
        world_size=optional_field(model, "world_size", int, path),
    )


def _read_curves(path: Path) -> dict[str, Curve]:
    columns, rows = read_csv(path, ["step"])
    curves = {}
    for name in columns:
        if not name.startswith(("train/", "eval/")):
            continue
        # A step comes twice where a run was continued from a checkpoint: what was measured last holds.
        points = {whole(row["step"], "step", path): number(row[name], name, path) for row in rows if row[name]}
        if points:
            steps = sorted(points)
            curves[name] = Curve(tuple(steps), tuple(points[step] for step in steps))
    return curves
