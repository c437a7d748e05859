"""The floors of the house: who may import whom, and that what decides a result is what DVC watches."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from wavemix.launch.identity import DECIDES_NOTHING, DECIDES_NUMBERS, PACKAGE

ROOT = PACKAGE.parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py"))


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for name in ("wavemix", "pipelines"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("wavemix/models/wavelet.py", "import wavemix.training.state", "floors"),
        ("wavemix/data/loader.py", "import wavemix.config", "models, losses, metrics and data take flat arguments"),
        ("wavemix/training/loop.py", "import wavemix.tasks.classification", "the loop knows a task only by its"),
    ],
)
def test_a_planted_violation_is_found(copied: Path, module: str, line: str, contract: str) -> None:
    with (copied / module).open("a") as file:
        file.write(f"\n{line}\n")
    done = lint_imports(copied)
    assert done.returncode != 0
    (broken,) = [text for text in done.stdout.splitlines() if contract in text and "BROKEN" in text]
    assert broken.strip().startswith(contract)


def imported(path: Path) -> Iterator[str]:
    """The top-level packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def importers(package: str) -> set[str]:
    return {module for module in MODULES if package in imported(ROOT / module)}


def test_heavy_packages_are_imported_only_where_they_are_wrapped() -> None:
    assert all(module.startswith("wavemix/launch/") and "/ray_" in module for module in importers("ray"))
    assert importers("ray")
    assert importers("mlflow") == {"wavemix/tracking/mlflow.py", "wavemix/tracking/models.py", "wavemix/pyfunc.py"}
    assert importers("yaml") == {"wavemix/config/load.py"}
    assert importers("dvc") == set()
    assert {module for module in importers("torch") if module.startswith(("wavemix/config", "wavemix/report"))} == set()


def test_models_need_torch_alone() -> None:
    code = "import sys, wavemix.models; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert "torch" in loaded
    assert not loaded & {"pydantic", "yaml", "ray", "mlflow", "webdataset", "dvc", "sklearn", "albumentations"}


def test_config_and_report_need_no_torch() -> None:
    code = "import sys, wavemix.config, wavemix.report; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("stage", ["train", "tune"])
def test_what_decides_numbers_is_what_the_stage_depends_on(stage: str) -> None:
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["do"]["deps"]
    code = {dep for dep in deps if not dep.startswith("${")}
    assert code == {f"wavemix/{place}" for place in DECIDES_NUMBERS}


def test_what_decides_nothing_is_what_the_stages_leave_out() -> None:
    lines = (ROOT / ".dvcignore").read_text().splitlines()
    assert [line for line in lines if line.startswith("/")] == [f"/wavemix/{place}" for place in DECIDES_NOTHING]
    assert all((PACKAGE / place).exists() for place in DECIDES_NOTHING)


def test_every_dependency_of_a_stage_exists() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    deps = {dep for stage in stages.values() for dep in stage.get("do", stage)["deps"] if not dep.startswith("${")}
    assert [dep for dep in sorted(deps) if not (ROOT / dep).exists()] == []


def test_pipelines_stay_thin() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "pipelines").glob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 60} == {}
    assert sum(lengths.values()) <= 300
