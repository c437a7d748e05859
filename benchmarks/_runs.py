"""Decides how a training is started for a measurement, as a user does, and read; does not know what is measured."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from wavemix.tracking import Follower, read_rows
from wavemix.tracking.jsonl import Row

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Training:
    """An experiment of params.yaml with changes, in a folder of its own; started again, it goes on."""

    experiment: str
    folder: Path
    shards: Path
    changes: Sequence[str]

    def start(
        self, *changes: str, torchrun: int = 0, module: Sequence[str] = ("pipelines.train",)
    ) -> subprocess.Popen[bytes]:
        """Start it under Ray, or in so many ranks of torchrun; ``module`` with what its command line begins with."""
        starter = [sys.executable]
        if torchrun:
            starter += ["-m", "torch.distributed.run", "--nproc-per-node", str(torchrun)]
            changes = ("launch.launcher=local", *changes)
        storage = [f"storage.{name}={self.folder / name}" for name in ("runs", "results", "reports")]
        places = [f"storage.shards={self.shards}", *storage, "tracking.mlflow_uri=null"]
        words = [word for change in (*places, *self.changes, *changes) for word in ("--set", change)]
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*starter, "-m", *module, self.experiment, *words],
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *changes: str, torchrun: int = 0) -> None:
        """Train to the end.

        Raises:
            RuntimeError: It failed; with what it said.
        """
        if self.start(*changes, torchrun=torchrun).wait():
            raise RuntimeError(self.log.read_text()[-2000:])

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def run_dir(self) -> Path:
        """Where it trains; a folder that is not there before it has begun."""
        found = [path.parent for path in self.folder.glob("runs/*/run.json")]
        return found[0] if found else self.folder / "runs" / "none"

    def rows(self) -> list[Row]:
        return list(read_rows(self.run_dir / "metrics.jsonl"))

    def curve(self) -> list[tuple[int, float]]:
        return [(row["step"], row["train/loss"]) for row in self.rows() if "train/loss" in row]

    def weights(self) -> bytes:
        return (self.folder / "results" / "experiments" / self.experiment / "train" / "model.safetensors").read_bytes()


class Watch:
    """Sees every row that a training ever wrote, those too that it took back when it went on from a checkpoint."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._follower: Follower | None = None
        self.seen: list[Row] = []

    def look(self) -> None:
        if self._follower is None:
            path = self._training.run_dir / "metrics.jsonl"
            self._follower = Follower(path) if path.exists() else None
        else:
            self.seen += self._follower.new_rows()

    def until(self, happened: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
        """Look until something has happened.

        Raises:
            RuntimeError: It did not, or the process ended before.
        """
        ends = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.look()
            if happened():
                return
            if time.monotonic() > ends or (process and process.poll() is not None):
                raise RuntimeError(f"it never happened:\n{self._training.log.read_text()[-2000:]}")
            time.sleep(0.02)

    @property
    def last_step(self) -> int:
        return max((row["step"] for row in self.seen), default=0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a command and all below it, as a machine that loses power would."""
    below = psutil.Process(process.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for child in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()


def freeze(process: subprocess.Popen[bytes]) -> None:
    """SIGSTOP to a command and all below it."""
    _signal_tree(process, signal.SIGSTOP)


def thaw(process: subprocess.Popen[bytes]) -> None:
    """SIGCONT to a command and all below it."""
    _signal_tree(process, signal.SIGCONT)


def _signal_tree(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    top = psutil.Process(process.pid)
    for one in (top, *top.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(number)


def ray_workers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The training processes of a Ray that the command started."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if any("RayTrainWorker" in word for word in child.cmdline()[:1])]
