"""Decides which files make up an evaluation and a measurement of cost, and checks that they fit to the training.

It does not know what trained the model, nor how anything is drawn or worded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from wavemix.report.parse import damaged, field, number, optional_field, read_csv, read_json, sub_folders, whole
from wavemix.report.records import (
    ClassScores,
    Confusion,
    Cost,
    Evaluation,
    LargestBatch,
    Memory,
    Sample,
    Training,
)

PNG_HEAD: Final = b"\x89PNG\r\n\x1a\n"


def read_evaluation(folder: Path, training: Training) -> Evaluation | None:
    """Read what the evaluate stage wrote; None where it has not run, or not to its end.

    Raises:
        DataError: If a file is damaged or contradicts another.
    """
    path = folder / "metrics.json"
    if not path.exists():  # the last file that the stage writes
        return None
    data = read_json(path)
    metrics = field(data, "metrics", dict, path)
    measured = {str(name): field(metrics, name, float, path) for name in metrics}
    num_samples = field(data, "num_samples", int, path)
    confusion = _read_confusion(folder / "tables" / "confusion.csv", training.classes)
    if confusion is not None and training.counted == "samples":
        counted = sum(map(sum, confusion.counts))
        if counted != num_samples:
            raise damaged(folder, f"confusion.csv counts {counted} samples, metrics.json {num_samples}.")
    return Evaluation(
        split=field(data, "split", str, path),
        num_samples=num_samples,
        metrics=measured,
        confusion=confusion,
        classes=_read_classes(folder / "tables" / "classes.csv", training.classes),
        samples=_read_samples(folder / "samples.json"),
    )


def read_others(folder: Path, training: Training) -> dict[str, Evaluation]:
    """Read the evaluations on data sets other than that of the training, by the name of the data set.

    Raises:
        DataError: If a file is damaged or contradicts another.
    """
    found = {path.name: read_evaluation(path, training) for path in sub_folders(folder)}
    return {name: evaluation for name, evaluation in found.items() if evaluation is not None}


def read_cost(path: Path) -> Cost | None:
    """Read what the model was measured to cost; None where nobody measured it.

    Raises:
        DataError: If the file is damaged.
    """
    if not path.exists():
        return None
    data = read_json(path)
    shapes = field(data, "input", dict, path)
    work = field(data, "multiply_adds", dict, path)
    memory = optional_field(data, "peak_memory", dict, path)
    largest = optional_field(data, "largest_batch_16gb", dict, path)
    return Cost(
        device=field(data, "device", str, path),
        num_threads=field(data, "threads", int, path),
        input_shapes={str(name): tuple(field(shapes, name, list, path)) for name in shapes},
        num_parameters=field(data, "num_parameters", int, path),
        multiply_adds_written=field(work, "written", int, path),
        multiply_adds_executed=field(work, "executed", int, path),
        batch=field(data, "batch", int, path),
        inference_rate=field(data, "inference_per_second", float, path),
        training_rate=field(data, "training_per_second", float, path),
        memory=Memory(field(memory, "kind", str, path), field(memory, "bytes", int, path)) if memory else None,
        largest_batch=LargestBatch(field(largest, "value", int, path), field(largest, "how", str, path))
        if largest
        else None,
    )


def _read_confusion(path: Path, classes: tuple[str, ...]) -> Confusion | None:
    if not path.exists():
        return None
    _, rows = read_csv(path, ["truth", "prediction", "count"])
    classes = classes or tuple(dict.fromkeys(row["truth"] for row in rows))
    counts = {(row["truth"], row["prediction"]): whole(row["count"], "count", path) for row in rows}
    pairs = [[(truth, prediction) for prediction in classes] for truth in classes]
    if len(rows) != len(counts) or set(counts) != {pair for line in pairs for pair in line}:
        raise damaged(path, f"Should hold every pair of the {len(classes)} classes in model.json once.")
    return Confusion(classes, tuple(tuple(counts[pair] for pair in line) for line in pairs))


def _read_classes(path: Path, classes: tuple[str, ...]) -> ClassScores | None:
    if not path.exists():
        return None
    columns, rows = read_csv(path, ["class", "count"])
    names = tuple(row["class"] for row in rows)
    if classes and names != classes:
        raise damaged(path, f"Should hold the {len(classes)} classes in model.json once each, in their order.")
    scores = [column for column in columns if column not in ("class", "count")]
    return ClassScores(
        classes=names,
        counts=tuple(whole(row["count"], "count", path) for row in rows),
        scores={score: tuple(number(row[score], score, path) for row in rows) for score in scores},
    )


def _read_samples(path: Path) -> tuple[Sample, ...]:
    if not path.exists():
        return ()
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
            caption=optional_field(entry, "caption", str, path),
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
