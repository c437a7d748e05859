"""What each task must tell for its folders to be scored: what a folder asks, by which rules, and what others answered.

It knows no task by name, and scores nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wavemix.data.raw import RawFile, RawFolder, RawSet
from wavemix.data.raw.trees import pictures_of
from wavemix.data.schema import Record, Sample
from wavemix.errors import DataError
from wavemix.tasks import Batch, Task

Field = NDArray[np.generic]
Fields = Mapping[str, Field]
Rule = TypeVar("Rule")

ANSWER = "answer"
"""Field of a batch: what another program answered to the sample, beside the sample's own fields."""


@dataclass(frozen=True)
class Rules:
    """What a folder does not tell itself; None or empty where nobody said it, or the task has no such thing."""

    scale: int | None = None
    classes: tuple[str, ...] = ()
    void: tuple[int, ...] = ()
    masks: str | None = None
    size: int | None = None
    perceptual: bool = False
    weights: str | None = None


def seen_in_evaluation(task: Task, record: Record) -> Sample:
    """A sample as the stage ``evaluate`` has it."""
    sample: Sample = task.eval_transform(task.decode(record, exact=True))
    return sample


@dataclass(frozen=True)
class Questions:
    """What a folder asks of whom it scores."""

    raw: RawSet
    """One split, whatever its name."""
    task: Task
    """By which it is scored. Where it is not a model's, nobody asks it for a network."""
    protocol: Mapping[str, Any] = field(default_factory=dict)
    """What of the rules decides the numbers, in plain values."""
    sample: Callable[[Task, Record], Sample] = seen_in_evaluation


@dataclass(frozen=True)
class Answers:
    """What another program answered: something to read for each sample, by its key."""

    by_key: Mapping[str, Any]
    read: Callable[[Any, Fields], Field]
    """One of them and the fields of its sample -> the field ``answer``. Raises ValueError: it does not fit."""
    classes: tuple[str, ...] = ()
    """Those that it tells itself."""


@dataclass(frozen=True)
class Kind:
    """How folders of one task are scored."""

    questions: Callable[[RawFolder, Rules, Any], Questions]
    """Of a folder, by these rules and those of a model's task (or None).

    Raises DataError: The folder is in no layout that the task has, or the rules are too few or disagree.
    """
    answers: Callable[[Path], Answers]
    """What another program left at a path. Raises DataError: nothing of use."""
    predict: Callable[[Batch, tuple[str, ...]], Tensor]
    """The field ``answer`` of a batch as what the task's ``predict`` returns, for these classes."""
    baselines: tuple[str, ...] = ()
    """Those of the task's variants that need no network."""


def agreed(what: str, asked: Rule, own: Rule) -> Rule:
    """What a model was trained for, if nobody asked for anything else; raises DataError if somebody did."""
    if asked and asked != own:
        raise DataError(f"the model was trained for {what} {told(own)}, and {told(asked)} is asked for")
    return own


def told(value: object) -> str:
    """As much of a value as a line can hold."""
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def pictures_below(folder: Path) -> dict[str, RawFile]:
    """The pictures of a folder by their keys, which are paths without the extension.

    Raises:
        DataError: There is no such folder, no picture in it, or two have the same key.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    return pictures_of(RawFolder(folder, Path()).under(""), str(folder))


def fitting(answer: Field, sample: Field) -> Field:
    """An answer ``[.., h, w]`` to a sample of the same height and width; raises ValueError if it is of another."""
    if answer.shape[-2:] != sample.shape[-2:]:
        (height, width), (wanted_height, wanted_width) = answer.shape[-2:], sample.shape[-2:]
        raise ValueError(f"it has {width}x{height} pixels, the sample {wanted_width}x{wanted_height}")
    return answer
