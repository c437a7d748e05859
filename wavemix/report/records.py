"""Decides what a result is made of once it is read: experiments, sweeps and their parts.

It does not know of files, nor of how anything is shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

COUNTED: Final[Mapping[str, str]] = {"segmentation": "pixels"}  # by task; of the others it is samples


@dataclass(frozen=True)
class Goal:
    """The metric that ranks checkpoints and trials; mode is "max" or "min"."""

    metric: str
    mode: str


@dataclass(frozen=True)
class Training:
    """What the train stage says of its model: model.json."""

    run_key: str
    task: str
    config: str  # the task's configuration as indented JSON, to be shown, not read
    classes: tuple[str, ...]
    goal: Goal
    step: int  # whose weights were kept
    num_steps: int | None  # of the whole training, where the file tells
    num_parameters: int
    data: str
    manifest_sha256: str
    num_samples: Mapping[str, int]  # split -> samples
    code_version: str
    world_size: int | None  # None where the file leaves it out, as it decides no number

    @property
    def counted(self) -> str:
        """What one answer is about, and what a class or a cell of the confusion matrix counts."""
        return COUNTED.get(self.task, "samples")


@dataclass(frozen=True)
class Curve:
    """One column of curves.csv where it was measured; steps ascend, values may be nan or inf."""

    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Confusion:
    """counts[i][j]: samples (in segmentation: pixels) of classes[i] that were taken for classes[j]."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ClassScores:
    """The scores of each class by their name, nan for a class that was not there; counts as in the confusion matrix."""

    classes: tuple[str, ...]
    counts: tuple[int, ...]
    scores: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Sample:
    """One picture with its answer; the last five are None where the task has none. prob lies in [0, 1]."""

    key: str
    png: bytes
    truth: str | None
    prediction: str | None
    prob: float | None
    correct: bool | None
    caption: str | None

    @property
    def is_triple(self) -> bool:
        """Whether the answer is a part of the picture: side by side what went in, the answer and the truth."""
        return self.prediction is None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, from the PNG's first chunk."""
        return int.from_bytes(self.png[16:20], "big"), int.from_bytes(self.png[20:24], "big")


@dataclass(frozen=True)
class Evaluation:
    """What the evaluate stage measured on one split."""

    split: str
    num_samples: int
    metrics: Mapping[str, float]
    confusion: Confusion | None
    classes: ClassScores | None
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Memory:
    """The peak of a training step; kind is "device" or "resident"."""

    kind: str
    num_bytes: int


@dataclass(frozen=True)
class LargestBatch:
    """Of those whose training step fits 16 GB; how is "measured" or "estimated"."""

    value: int
    how: str


@dataclass(frozen=True)
class Cost:
    """What a model takes on one device; rates in samples a second. None is what could not be found out there."""

    device: str
    num_threads: int
    input_shapes: Mapping[str, tuple[int, ...]]  # of one sample, by field
    num_parameters: int
    multiply_adds_written: int  # layer by layer, as the paper writes the network
    multiply_adds_executed: int  # as it is computed here
    batch: int  # of both rates and of the memory
    inference_rate: float
    training_rate: float
    memory: Memory | None
    largest_batch: LargestBatch | None


@dataclass(frozen=True)
class Experiment:
    """One experiment; evaluation is None as long as it was trained only, cost as long as nobody measured it."""

    name: str
    training: Training
    curves: Mapping[str, Curve]  # "train/loss", "eval/top1", ...
    evaluation: Evaluation | None
    others: Mapping[str, Evaluation]  # by data set: such as the model has never seen any part of
    cost: Cost | None

    @property
    def score(self) -> float | None:
        """The goal's metric on the held-out split, where it was measured."""
        return self.evaluation.metrics.get(self.training.goal.metric) if self.evaluation else None


@dataclass(frozen=True)
class Trial:
    """One trial of a sweep; score is None (or nan) where it ended before its first evaluation, or failed."""

    name: str
    status: str  # finished, stopped early or failed
    score: float | None
    step: int | None  # that reached the score
    epochs: float | None  # that were done
    parameters: Mapping[str, str]
    source: str = ""  # the trial from whose checkpoint it went on

    @property
    def scored(self) -> bool:
        """Whether there is a finite score to rank it by."""
        return self.score is not None and math.isfinite(self.score)

    @property
    def stopped_early(self) -> bool:
        return self.status == "stopped early"


@dataclass(frozen=True)
class Sweep:
    """One sweep, its trials best first and those without a score last."""

    name: str
    parameters: tuple[str, ...]
    trials: tuple[Trial, ...]
    best: str  # best.yaml as text, "" if there is none

    @property
    def is_population(self) -> bool:
        """Whether some trials went on from the checkpoints of others."""
        return any(trial.source for trial in self.trials)


@dataclass(frozen=True)
class Results:
    """All that the report is made from, each part sorted by name."""

    experiments: tuple[Experiment, ...]
    sweeps: tuple[Sweep, ...]
