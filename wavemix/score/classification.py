"""Folders for classification: a folder per class. Answers of others are a table with a score for each class.

Shapes: k = classes.
"""

import csv
from pathlib import Path

import numpy as np
from torch import Tensor

from wavemix import config
from wavemix.data.raw import RawFolder
from wavemix.data.raw.items import key_of
from wavemix.data.sources import image_folder
from wavemix.errors import DataError
from wavemix.score.base import ANSWER, Answers, Field, Fields, Kind, Questions, Rules
from wavemix.tasks import Batch, classification
from wavemix.tasks.classification import Classification


def _questions(root: RawFolder, rules: Rules, own: Classification | None) -> Questions:
    classes = own.classes if own else rules.classes
    raw = image_folder.read_folder(root=root, classes=classes, whose="who answers")
    if own:
        return Questions(raw, own)
    section = {"model": {"dim": 4, "depth": 1}, "image_size": 1, "mean": (0.0,) * 3, "std": (1.0,) * 3}
    validated = config.Classification.model_validate({"name": "classification", **section})
    return Questions(raw, classification.build(validated, classes))


def _answers(path: Path) -> Answers:
    """A CSV file: the header ``name,<class>,<class>,...``, then a row per picture: its path, and any scores."""
    try:
        with path.open(newline="") as file:
            header, *rows = csv.reader(file)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV: {error}") from None
    if header[:1] != ["name"] or len(header) < 3 or len(set(header)) < len(header):
        raise DataError(f"{path}: found the header {','.join(header)[:60]!r}, needed is name,<class>,<class>,...")
    scores: dict[str, list[str]] = {}
    for number, (name, *row) in enumerate((row or [""] for row in rows), start=2):
        if len(row) != len(header) - 1:
            raise DataError(f"{path}, line {number}: found {len(row)} scores of {len(header) - 1} classes")
        if key_of(name) in scores:
            raise DataError(f"{path}, line {number}: {name} is there twice")
        scores[key_of(name)] = row
    return Answers(scores, _scores, classes=tuple(header[1:]))


def _scores(row: list[str], _fields: Fields) -> Field:
    scores_k = np.array(row, np.float32)  # a ValueError if one is no number
    if not np.isfinite(scores_k).all():
        raise ValueError(f"{', '.join(row)[:60]} are not all finite numbers")
    return scores_k


def _predict(batch: Batch, _classes: tuple[str, ...]) -> Tensor:
    return batch[ANSWER]


KIND = Kind(_questions, _answers, _predict)
