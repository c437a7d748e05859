"""A trained model as files: ``model.safetensors`` and ``model.json``, which says how to build what the weights fit.

It knows the two files and the task's config, and nothing of how the model was trained.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from wavemix.config import Task as TaskConfig
from wavemix.errors import DataError, first_line
from wavemix.files import write_aside, written_aside
from wavemix.tasks import TASKS, Task

FORMAT = 1


@dataclass(frozen=True)
class Trained:
    """A model ready to predict, its task, and what ``model.json`` tells about it."""

    model: nn.Module
    task: Task
    info: Mapping[str, Any]


def save_trained(folder: Path, weights: Path, info: Mapping[str, Any]) -> None:
    """Copy the weights beside a ``model.json``; ``info`` must have ``task`` (its config) and ``classes``."""
    with written_aside(folder / "model.safetensors") as target, weights.open("rb") as source:
        shutil.copyfileobj(source, target)
    write_aside(folder / "model.json", (json.dumps({"format": FORMAT, **info}, indent=1) + "\n").encode())


def load_trained(folder: Path) -> Trained:
    """Build the model that ``model.json`` describes and give it its weights, in evaluation mode on the CPU.

    Raises:
        DataError: A file is missing or damaged, or the two do not belong together.
    """
    path = folder / "model.json"
    try:
        info = json.loads(path.read_text())
        if info["format"] != FORMAT:
            raise DataError(f"{path}: found format {info['format']!r}, this version reads {FORMAT}; train again")
        config = TypeAdapter(TaskConfig).validate_json(json.dumps(info["task"]))
        task = TASKS[config.name](config, tuple(info["classes"]))
        model = task.build_model()
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except FileNotFoundError as error:
        raise DataError(f"{error.filename or folder}: no such file; `dvc repro train` writes it") from None
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError, ValidationError) as error:
        raise DataError(f"{folder}: not a trained model of this version: {first_line(error)}") from None
    return Trained(model.eval(), task, info)
