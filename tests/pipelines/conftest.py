"""A copy of the project in a folder of its own, without git, small enough to train in seconds."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
EPOCHS = 6  # of AdamW; and two of SGD
EXPERIMENTS = ("digits", "scenes", "photographs_x2", "photographs_holes")


class Project:
    """Commands run in the copy as a user would run them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.more_env: dict[str, str] = {}
        self.started: list[subprocess.Popen[bytes]] = []

    @property
    def env(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "MLFLOW_"))}
        ours = {"PATH": f"{BIN}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1", "PYTHONPATH": str(self.folder)}
        return {**kept, **ours, **self.more_env}

    def write_params(self, tree: dict[str, Any]) -> None:
        (self.folder / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))

    def track(self) -> None:
        """Show the runs of this copy in an MLflow of its own."""
        tree = self.params()
        tree["tracking"]["mlflow_uri"] = "sqlite:///mlflow.db"
        self.write_params(tree)

    def params(self) -> dict[str, Any]:
        tree: dict[str, Any] = yaml.safe_load((self.folder / "params.yaml").read_text())
        return tree

    def run(self, *command: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False, timeout=280
        )
        assert (done.returncode != 0) == fails, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own, so that all of it can be killed at once."""
        with (self.folder / "started.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.started.append(process)
        return process

    def train(self, *changes: str, torchrun: bool = False) -> None:
        """The train stage by itself, with overrides; under torchrun with two ranks."""
        starter = ["torchrun", "--nproc-per-node", "2"] if torchrun else ["python"]
        local = ["launch.launcher=local"] if torchrun else []
        overrides = [part for change in [*local, *changes] for part in ("--set", change)]
        self.run(*starter, "-m", "pipelines.train", "digits", *overrides)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL to a command and everything below it, as a machine that loses power would."""
        below = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        for child in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.wait()

    def curves(self) -> str:
        return (self.folder / "results/experiments/digits/train/curves.csv").read_text()

    def weights(self) -> bytes:
        return (self.folder / "results/experiments/digits/train/model.safetensors").read_bytes()

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Of such a file of lines of JSON in all runs."""
        texts = [path.read_text() for path in self.folder.glob(f"runs/*/{name}")]
        return [json.loads(line) for text in texts for line in text.splitlines()]

    def wait_for(self, what: str, happened: Callable[[], Any], process: subprocess.Popen[bytes]) -> None:
        """Wait until something has happened, while the process runs."""
        until = time.monotonic() + 150
        while not happened():
            assert process.poll() is None, (self.folder / "started.log").read_text()
            assert time.monotonic() < until, f"{what} did not come"
            time.sleep(0.05)

    def wait_for_checkpoints(self, count: int, process: subprocess.Popen[bytes]) -> None:
        """Wait until so many epochs have ended, while the process runs."""
        until = time.monotonic() + 150
        while sum(1 for _ in self.folder.glob("runs/*/checkpoints/step-*/meta.json")) < min(count, 2) or (
            self.last_step() < count * 20
        ):
            assert process.poll() is None, (self.folder / "started.log").read_text()
            assert time.monotonic() < until, "no checkpoint came"
            time.sleep(0.02)

    def last_step(self) -> int:
        names = [path.parent.name for path in self.folder.glob("runs/*/checkpoints/step-*/meta.json")]
        return max((int(name.removeprefix("step-")) for name in names), default=0)


def copied(folder: Path) -> Project:
    """A copy of the project in a new folder."""
    project = Project(folder)
    for name in ("wavemix", "pipelines", ".dvc"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "cache", "tmp", "config.local")
        )
    shutil.copy(ROOT / "dvc.yaml", folder)
    (folder / "benchmarks/results").mkdir(parents=True)
    shutil.copy(ROOT / "benchmarks/results/faults.json", folder / "benchmarks/results")
    shutil.copy(ROOT / ".dvcignore", folder)
    project.write_params(_small(yaml.safe_load((ROOT / "params.yaml").read_text())))
    return project


def _small(tree: dict[str, Any]) -> dict[str, Any]:
    """The shipped params.yaml with the digits alone, a smaller model, fewer epochs, and no sweep."""
    # DVC reads the file for each of its stages, and takes seconds for all the experiments of the papers.
    tree["experiments"] = {name: tree["experiments"][name] for name in EXPERIMENTS}
    tree["data"] = {name: tree["data"][name] for name in sorted({one["data"] for one in tree["experiments"].values()})}
    experiment = tree["experiments"]["digits"]
    experiment["task"]["model"].update(dim=8, depth=1, dropout=0.1)
    experiment["recipe"]["phases"][0]["num_epochs"] = EPOCHS
    experiment["recipe"]["phases"][1]["num_epochs"] = 2
    tree["active"] = {"data": ["digits"], "experiments": {"digits": "digits"}, "sweeps": {}}
    tree["tracking"]["mlflow_uri"] = None  # for those that test nothing of it: it takes ten seconds
    return tree


def once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that all processes of pytest share, made by the first that needs it."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, made = base / name, base / f"{name}.made"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared digits."""

    def make(folder: Path) -> None:
        copied(folder).run("python", "-m", "pipelines.prepare", "digits")

    return once(tmp_path_factory, "prepared", make) / "data"


@pytest.fixture
def project(tmp_path: Path, shards: Path) -> Iterator[Project]:
    """A copy of the project whose data are prepared; what a failed test leaves running in it is ended."""
    made = copied(tmp_path / "project")
    shutil.copytree(shards, made.folder / "data")
    yield made
    for process in made.started:
        if process.poll() is None:
            made.kill(process)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory, shards: Path) -> Project:
    """The uninterrupted run that others are compared with: two ranks, started by torchrun."""

    def make(folder: Path) -> None:
        made = copied(folder)
        shutil.copytree(shards, made.folder / "data")
        made.train(torchrun=True)

    return Project(once(tmp_path_factory, "reference", make))


@pytest.fixture(scope="session")
def dvc_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project on which DVC has not run yet."""
    made = copied(tmp_path_factory.mktemp("dvc") / "project")
    made.run("dvc", "config", "--local", "core.no_scm", "true")
    made.track()
    return made
