"""``wavemix score`` as a user runs it, and models as the stage train leaves them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import save_file

from factories.tasks import CASES
from factories.threads import one_thread  # noqa: F401  (a fixture)
from wavemix import cli, config
from wavemix.tasks import TASKS
from wavemix.training.trained import save_trained


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs ``wavemix score`` in a folder without params.yaml; returns what it prints to stdout."""

    def run_score(*arguments: object) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["wavemix", "score", *map(str, arguments)])
        capsys.readouterr()
        cli.main()
        return capsys.readouterr().out

    return run_score


@pytest.fixture
def scored(run: Callable[..., str]) -> Callable[..., dict[str, Any]]:
    """The one JSON object that ``wavemix score --json`` prints."""

    def score(*arguments: object) -> dict[str, Any]:
        tree: dict[str, Any] = json.loads(run(*arguments, "--json"))
        return tree

    return score


@pytest.fixture
def told(run: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The error that a user sees."""

    def fail(*arguments: object) -> str:
        with pytest.raises(SystemExit) as ended:
            run(*arguments)
        return capsys.readouterr().err if ended.value.code == 2 else str(ended.value.code)

    return fail


@pytest.fixture
def trained(tmp_path: Path) -> Callable[..., Path]:
    """Writes a fresh model of the smallest experiment of a task, with some of its section changed."""

    def write(name: str, classes: tuple[str, ...] | None = None, **changes: Any) -> Path:
        case = CASES[name]
        section = TypeAdapter(config.Task).validate_python({**case.section, **changes})
        classes = case.classes if classes is None else classes
        torch.manual_seed(0)
        save_file(TASKS[name](section, classes).build_model().state_dict(), tmp_path / "weights.safetensors")
        info = {"task": section.model_dump(mode="json"), "classes": classes, "data": {"manifest_sha256": ""}}
        save_trained(tmp_path / "model", tmp_path / "weights.safetensors", info)
        return tmp_path / "model"

    return write
