"""One folder from its path to its scores: who answers, in which ways, and what came of it.

It knows the tasks by name, and none of their layouts.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wavemix.data.raw import RawFolder
from wavemix.data.raw.items import fingerprint_of
from wavemix.errors import DataError
from wavemix.files import write_aside
from wavemix.launch.progress import counted
from wavemix.score import classification, inpainting, segmentation, super_resolution
from wavemix.score.base import Kind, Rules
from wavemix.score.samples import Sample, Samples, check_answered
from wavemix.tasks import Batch, Task
from wavemix.tasks.base import Predict
from wavemix.training.evaluation import evaluate
from wavemix.training.trained import Trained, load_trained

KINDS: Mapping[str, Kind] = {
    "classification": classification.KIND,
    "inpainting": inpainting.KIND,
    "segmentation": segmentation.KIND,
    "super_resolution": super_resolution.KIND,
}

OWN = ""
"""The answers that were asked for; variants and baselines are scored beside them."""

Seen = Callable[[Sample], None]
Show = Callable[[str, Tensor, Batch], None]
"""Shown the key of a sample, the answer and the batch."""


@dataclass(frozen=True)
class Scores:
    """What was measured, by which protocol, on what and of whom."""

    task: str
    protocol: Mapping[str, Any]
    folder: str
    num_samples: int
    sha256: str
    answered_by: tuple[str, str]
    """``model`` and a path, ``method`` and a name, or ``predictions`` and a path."""
    metrics: Mapping[str, float]

    def to_json(self) -> str:
        """One object on one line; a number that JSON does not know (the PSNR of a perfect answer) is null."""
        who, name = self.answered_by
        tree = {
            "task": self.task,
            "protocol": self.protocol,
            "data": {"folder": self.folder, "samples": self.num_samples, "sha256": self.sha256},
            who: name,
            "metrics": {metric: value if math.isfinite(value) else None for metric, value in self.metrics.items()},
        }
        return json.dumps(tree)


def score_folder(
    name: str,
    folder: Path,
    rules: Rules,
    *,
    model: Path | None = None,
    method: str | None = None,
    predictions: Path | None = None,
    save: Path | None = None,
) -> Scores:
    """Score all samples of a folder, as the stage ``evaluate`` would score them in shards.

    Beside a model's own answers, its task's other ways to one are scored; beside those of another program, the
    baselines are.

    Args:
        name: Of the task.
        folder: In one of the layouts that the task has.
        rules: What the folder does not tell; what a model knows need not be given.
        model: A folder that the stage train wrote.
        method: One of the task's variants that need no model. Exactly one of these three is given.
        predictions: Where another program left its answers, under the samples' names.
        save: A folder for the answers, as PNG under the samples' names.

    Raises:
        DataError: The folder, a sample or an answer cannot be used, or the model is one for other rules.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    kind = KINDS[name]
    trained = _trained(model, name) if model else None
    answers = kind.answers(predictions) if predictions else None
    if answers and answers.classes:
        rules = replace(rules, classes=answers.classes)
    questions = kind.questions(RawFolder(folder.absolute(), Path()), rules, trained and trained.task)
    samples = Samples(questions, folder, answers)
    if predictions:
        check_answered(samples, predictions)
    digests: dict[str, str] = {}
    metrics: dict[str, float] = {}
    ways = _ways(name, samples, method, has_model=bool(trained))
    network = trained.model if trained else nn.Identity()
    with counted(f"score {folder.resolve().name}", len(samples.items) * len(ways), "samples") as progress:

        def seen(sample: Sample) -> None:
            digests[sample.key] = sample.sha256
            progress(1)

        progress(0)
        for way, predict in ways.items():
            show = partial(_save, save, questions.task) if save and way == OWN else _ignore
            found = _score(samples, network, predict, seen, show)
            metrics |= {f"{metric}_{way}" if way else metric: value for metric, value in found.items()}
    by = {"model": model, "method": method, "predictions": predictions}
    (answered_by,) = ((who, str(one)) for who, one in by.items() if one)
    return Scores(
        task=name,
        protocol=questions.protocol,
        folder=folder.resolve().name,
        num_samples=len(digests),
        sha256=fingerprint_of(digests.values()),
        answered_by=answered_by,
        metrics=metrics,
    )


def _trained(model: Path, name: str) -> Trained:
    trained = load_trained(model)
    if (own := trained.info["task"]["name"]) != name:
        raise DataError(f"{model}: a model for {own}, not for {name}")
    return trained


def _ways(name: str, samples: Samples, method: str | None, *, has_model: bool) -> Mapping[str, Predict | None]:
    """Ways to an answer, by what they add to the names of metrics; None stands for the task's own."""
    kind, variants = KINDS[name], samples.questions.task.variants()
    if has_model:
        return {OWN: None, **variants}
    baselines = {baseline: variants[baseline] for baseline in kind.baselines}
    if samples.answers:
        return {OWN: lambda _model, batch: kind.predict(batch, samples.questions.raw.classes), **baselines}
    if method not in baselines:
        raise DataError(f"{name} has no method {method!r}; without a model there is {', '.join(baselines) or 'none'}")
    return {OWN: baselines[method]}


def _score(samples: Samples, network: nn.Module, predict: Predict | None, seen: Seen, show: Show) -> dict[str, float]:
    task = samples.questions.task
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sample: Sample | None = None

    def batches() -> Iterator[Batch]:
        nonlocal sample
        for sample in samples:
            yield sample.batch
            seen(sample)

    def on_batch(prediction: Tensor, batch: Batch) -> None:
        assert sample
        show(sample.key, prediction, batch)

    try:
        tallies = evaluate(network.to(device), task, batches(), device, on_batch, full=True, variant=predict)
    except ValueError as error:
        raise DataError(f"{samples.folder}: {sample.key if sample else 'no sample'}: {error}") from None
    return task.summary(tallies)


def _save(folder: Path, task: Task, key: str, prediction: Tensor, batch: Batch) -> None:
    (content,) = task.encode(prediction, batch)
    write_aside(folder / f"{key}.png", content)


def _ignore(_key: str, _prediction: Tensor, _batch: Batch) -> None:
    """Of what is not to be saved."""
