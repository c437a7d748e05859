"""The score of a trained model on a split it has never seen, as files. It knows no optimizer and no run.

Shapes: h, w = height, width, k = classes.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wavemix.data import Manifest
from wavemix.data.decode import encode_png
from wavemix.data.loader import eval_batches
from wavemix.errors import DataError
from wavemix.files import write_aside
from wavemix.metrics import Confusion, Ratio, Tally
from wavemix.tasks.base import Batch, Predict, Rendered, Task
from wavemix.training.evaluation import OnBatch, evaluate
from wavemix.training.trained import Trained

MOST_WRONG, MOST_SHOWN = 20, 40


def score(
    trained: Trained,
    manifest: Manifest,
    target: Path,
    *,
    split: str = "test",
    other_data: bool = False,
    batch_size: int,
    num_workers: int = 0,
) -> dict[str, float]:
    """Score the model on the whole split in one process.

    Writes ``metrics.json``, ``samples.json`` with small pictures (the wrong answers first, then the first right ones)
    and in ``tables``, where the task has classes, ``confusion.csv`` and ``classes.csv``, and a row per sample in the
    data's order: ``predictions.csv`` where its answer is a class, else ``samples.csv`` with its own scores.

    ``other_data``: the manifest is that of another data set, of the same classes, which the model has never seen.

    Returns:
        The metrics by name; those of the task's variants have the variant's name behind their own.

    Raises:
        DataError: The model was trained on other data: its scores would not be what they claim to be.
    """
    if not other_data and trained.info["data"]["manifest_sha256"] != manifest.sha256:
        raise DataError(
            f"{manifest.folder}: not the data that the model was trained on (another manifest digest), so its held-out "
            "part may not be held out; run `dvc repro` to train on it"
        )
    for what, found, needed in (
        ("samples", manifest.schema, trained.task.schema),
        ("classes", list(manifest.classes), list(trained.info["classes"])),
        ("the split", split, split if split in manifest.splits else " or ".join(manifest.splits)),
    ):
        if found != needed:
            raise DataError(f"{manifest.folder}: cannot be scored: {what}: found {found!r}, needed {needed!r}"[:300])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    shown: list[Rendered] = []
    answers: list[tuple[str, str]] = []
    scores: list[Mapping[str, float]] = []

    def keep(prediction: Tensor, batch: Batch) -> None:
        rendered = trained.task.render(prediction, batch)
        answers.extend((str(one.truth), str(one.prediction)) for one in rendered if one.correct is not None)
        if not answers:
            scores.extend(_of_each(trained.task, prediction, batch))
        shown[:] = _most_telling(shown + rendered)

    def measured(on_batch: OnBatch, variant: Predict | None = None) -> dict[str, Tally]:
        batches = eval_batches(
            manifest,
            split,
            partial(trained.task.decode, exact=True),
            trained.task.eval_transform,
            batch_size=batch_size,
            num_workers=num_workers,
        )
        return evaluate(model, trained.task, batches, device, on_batch, full=True, variant=variant)

    model = trained.model.to(device)
    tallies = measured(keep)
    metrics = trained.task.summary(tallies)
    for name, variant in trained.task.variants().items():
        others = trained.task.summary(measured(lambda _prediction, _batch: None, variant))
        metrics |= {f"{metric}_{name}": value for metric, value in others.items()}
    summary = {"split": split, "num_samples": manifest.num_samples(split), "metrics": metrics}
    tables = target / "tables"
    _write_classes(tallies, manifest.classes, tables)
    if answers:
        write_aside(tables / "predictions.csv", _csv(["truth", "prediction"], answers))
    else:
        write_aside(tables / "samples.csv", _csv(list(scores[0]), [list(one.values()) for one in scores]))
    _write_samples(shown, target)
    write_aside(target / "metrics.json", (json.dumps(summary, indent=1) + "\n").encode())
    return metrics


def _of_each(task: Task, prediction: Tensor, batch: Batch) -> Iterator[Mapping[str, float]]:
    """Each sample's own scores: those of an evaluation of it alone."""
    for index in range(len(prediction)):
        one = {name: values[index : index + 1] for name, values in batch.items()}
        yield task.summary(task.metrics(prediction[index : index + 1], one, full=False))


def _most_telling(shown: list[Rendered]) -> list[Rendered]:
    """Wrong answers first, the surest of them foremost; then right ones in the order of the data."""
    wrong = sorted((one for one in shown if one.correct is False), key=lambda one: -(one.prob or 0))[:MOST_WRONG]
    return wrong + [one for one in shown if one.correct is not False][: MOST_SHOWN - len(wrong)]


def _write_samples(shown: list[Rendered], target: Path) -> None:
    entries: list[dict[str, Any]] = []
    for number, one in enumerate(shown):
        name = f"samples/{number:03d}.png"
        pixels = (one.image_3hw.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        write_aside(target / name, encode_png(np.ascontiguousarray(pixels)))
        prob = None if one.prob is None or math.isnan(one.prob) else round(one.prob, 4)
        told = {"truth": one.truth, "prediction": one.prediction, "prob": prob, "correct": one.correct}
        entries.append({"file": name, **told, "caption": one.caption})
    write_aside(target / "samples.json", (json.dumps(entries, indent=1) + "\n").encode())


def _write_classes(tallies: Mapping[str, Tally], classes: tuple[str, ...], tables: Path) -> None:
    """``confusion.csv`` has a row per pair of classes, ``classes.csv`` a row per class: its count and its scores."""
    if isinstance(confusion := tallies.get("confusion"), Confusion):
        cells = [
            (truth, prediction, count)
            for truth, counts in zip(classes, confusion.counts.tolist(), strict=True)
            for prediction, count in zip(classes, counts, strict=True)
        ]
        write_aside(tables / "confusion.csv", _csv(["truth", "prediction", "count"], cells))
    by_class = {
        name.removeprefix("class_"): tally
        for name, tally in tallies.items()
        if name.startswith("class_") and isinstance(tally, Ratio)
    }
    if by_class:
        columns = [tally.value.tolist() for tally in by_class.values()]
        counts = next(iter(by_class.values())).count.long().tolist()
        rows = zip(classes, counts, *columns, strict=True)
        write_aside(tables / "classes.csv", _csv(["class", "count", *by_class], rows))


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    return text.getvalue().encode()
