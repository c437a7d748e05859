"""The smallest data set that can be trained on (dark and bright pictures of 4x4 pixels), and runs on it here."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter

from wavemix.config import Recipe
from wavemix.config import Task as TaskConfig
from wavemix.data import Manifest, Options, make_plan, write_shards
from wavemix.data.decode import encode_png
from wavemix.data.raw.items import Item, RawSet
from wavemix.tasks import TASKS, Task
from wavemix.training.run import Runtime, train

CLASSES = ("dark", "bright")
MODEL = {"dim": 8, "depth": 1, "in_channels": 1}
SECTION: Mapping[str, Any] = {
    "name": "classification",
    "model": MODEL,
    "image_size": 4,
    "mean": [0.5],
    "std": [0.5],
}


def task_of(**changes: Any) -> Task:
    section = TypeAdapter(TaskConfig).validate_json(json.dumps({**SECTION, **changes}))
    return TASKS[section.name](section, CLASSES)


def recipe_of(*phases: Mapping[str, Any], **others: Any) -> Recipe:
    return Recipe.model_validate_json(json.dumps({"global_batch": 8, "eval_batch": 8, "phases": phases, **others}))


def clear(number: int) -> dict[str, bytes]:
    shade = 40 + 170 * (number % 2) + number % 7
    return {"image": encode_png(np.full((4, 4), shade, np.uint8))}


def hidden(number: int) -> dict[str, bytes]:
    """Noise that is hardly brighter in one of the classes: scores go up and down from epoch to epoch."""
    noise = np.random.default_rng(number).integers(0, 240, (4, 4), dtype=np.uint8)
    return {"image": encode_png(noise + np.uint8(15 * (number % 2)))}


def written(folder: Path, splits: Mapping[str, Iterable[int]], name: str = "shades", read: Any = clear) -> Manifest:
    items = {split: [Item(f"{n:03d}", n % 2, n) for n in numbers] for split, numbers in splits.items()}
    raw = RawSet("labelled_image", CLASSES, items, read, "fingerprint")
    return write_shards(make_plan(raw, name=name, source={}, options=Options(samples_per_shard=10)), folder)


class Changed:
    """A task, but for some of its members."""

    def __init__(self, task: Task, **members: Any) -> None:
        self.__dict__.update(members, task=task)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)


class Stopped(Exception):  # noqa: N818
    """A run that was killed between two epochs."""


def run(
    task: Task,
    recipe: Recipe,
    manifest: Manifest,
    run_dir: Path,
    *,
    start: Path | None = None,
    resume_from: Path | None = None,
    stop_after: int = 0,
    **runtime: Any,
) -> list[float]:
    """Train, or go on; returns the score of each evaluation. ``runtime``: further members of ``Runtime``.

    Raises:
        Stopped: After ``stop_after`` evaluations, if it is not 0.
    """
    reported: list[float] = []

    def report(metrics: Mapping[str, float], _checkpoint: Path | None) -> None:
        reported.append(metrics[task.goal.metric])
        if len(reported) == stop_after:
            raise Stopped

    made = Runtime(torch.device("cpu"), report, **runtime)
    train(task, recipe, manifest, run_dir, seed=0, runtime=made, start=start, resume_from=resume_from)
    return reported
