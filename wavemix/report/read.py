"""Decides which files under ``results/`` make up an experiment and a sweep, and checks that they fit together.

It does not know how anything is drawn or worded, nor what wrote the files.
"""

from __future__ import annotations

import json
from pathlib import Path

from wavemix.errors import DataError
from wavemix.report.parse import damaged, field, number, optional_field, read_csv, read_json, read_text, whole
from wavemix.report.records import (
    Confusion,
    Curve,
    Evaluation,
    Experiment,
    Goal,
    Results,
    Sample,
    Sweep,
    Training,
    Trial,
)

FORMAT = 1  # of model.json; a file of another format was written by another version of the train stage
PNG_HEAD = b"\x89PNG\r\n\x1a\n"


def read_results(results: Path) -> Results:
    """Read every experiment and sweep under a results folder.

    Args:
        results: The folder that holds ``experiments/`` and ``sweeps/``; either may be missing.

    Raises:
        DataError: If there is neither an experiment nor a sweep, or a file is missing, damaged or contradicts another.
    """
    experiments = tuple(read_experiment(folder) for folder in _folders(results / "experiments"))
    sweeps = tuple(read_sweep(folder) for folder in _folders(results / "sweeps"))
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
    # metrics.json is what makes an evaluation: without it the stage has not run, or not to its end.
    evaluated = (folder / "evaluation" / "metrics.json").exists()
    evaluation = _read_evaluation(folder / "evaluation", training) if evaluated else None
    return Experiment(folder.name, training, curves, evaluation)


def read_sweep(folder: Path) -> Sweep:
    """Read one sweep; its name is the folder's.

    The rows of trials.csv are best first: the tune stage knows the better direction of its score, this file does not.

    Raises:
        DataError: If trials.csv is missing or a file is damaged.
    """
    path = folder / "trials.csv"
    columns, rows = read_csv(path, ["trial", "score", "step"])
    parameters = tuple(name for name in columns if name not in ("trial", "score", "step"))
    trials = [
        Trial(
            name=row["trial"],
            score=number(row["score"], "score", path) if row["score"] else None,
            step=whole(row["step"], "step", path) if row["step"] else None,
            parameters={name: row[name] for name in parameters},
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


def _folders(parent: Path) -> list[Path]:
    """Sub-folders by name, without those that hold no file: DVC leaves such behind when a stage failed."""
    if not parent.is_dir():
        return []
    folders = (path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path for path in folders if any(f.is_file() and f.name[0] != "." for f in path.rglob("*")))


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


def _read_evaluation(folder: Path, training: Training) -> Evaluation:
    path = folder / "metrics.json"
    data = read_json(path)
    metrics = field(data, "metrics", dict, path)
    measured = {str(name): field(metrics, name, float, path) for name in metrics}
    num_samples = field(data, "num_samples", int, path)
    confusion = None
    if (folder / "tables" / "confusion.csv").exists():
        confusion = _read_confusion(folder / "tables" / "confusion.csv", training.classes)
        counted = sum(map(sum, confusion.counts))
        if counted != num_samples:
            raise damaged(folder, f"confusion.csv counts {counted} samples, metrics.json {num_samples}.")
    listing = folder / "samples.json"
    return Evaluation(
        split=field(data, "split", str, path),
        num_samples=num_samples,
        metrics=measured,
        confusion=confusion,
        samples=_read_samples(listing) if listing.exists() else (),
    )


def _read_confusion(path: Path, classes: tuple[str, ...]) -> Confusion:
    _, rows = read_csv(path, ["truth", "prediction", "count"])
    classes = classes or tuple(dict.fromkeys(row["truth"] for row in rows))
    counts = {(row["truth"], row["prediction"]): whole(row["count"], "count", path) for row in rows}
    pairs = [[(truth, prediction) for prediction in classes] for truth in classes]
    if len(rows) != len(counts) or set(counts) != {pair for line in pairs for pair in line}:
        raise damaged(path, f"Should hold every pair of the {len(classes)} classes in model.json once.")
    return Confusion(classes, tuple(tuple(counts[pair] for pair in line) for line in pairs))


def _read_samples(path: Path) -> tuple[Sample, ...]:
    entries = read_json(path)
    if not isinstance(entries, list):
        raise damaged(path, "Should be a list of samples.")
    return tuple(
        Sample(
            key=optional_field(entry, "key", str, path) or field(entry, "file", str, path),
            png=_read_png(path.parent, field(entry, "file", str, path), path),
            truth=optional_field(entry, "truth", str, path),
            prediction=optional_field(entry, "prediction", str, path),
            prob=optional_field(entry, "prob", float, path),
            correct=optional_field(entry, "correct", bool, path),
        )
        for entry in entries
    )


def _read_png(folder: Path, name: str, listing: Path) -> bytes:
    # The page carries the file's bytes to whoever reads it, so nothing outside the evaluation's folder may get in.
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise damaged(listing, f"'{name}' lies outside the folder of the evaluation.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise damaged(listing, f"It names '{name}', which is not there.") from error
    if not data.startswith(PNG_HEAD) or not data.rstrip(b"\0").endswith(b"IEND\xaeB`\x82"):
        raise damaged(path, "Not a whole PNG file.")
    return data
