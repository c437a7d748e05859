"""Stages of the pipeline on a host: started with other values than those of params.yaml, and followed by their rows.

It knows their command line and their files, and nothing of clusters and faults.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from infra.hosts import Host
from infra.services import ClusterError, Environment, end_of
from wavemix.tracking import Follower
from wavemix.tracking.jsonl import Row

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 600.0
"""For the next row: on a busy machine a cluster needs minutes to start a training again."""

Changes = Mapping[str, object]
"""Of params.yaml, by the path to the leaf."""


def stage(name: str, of: str, changes: Changes) -> list[str]:
    """What Python is to run."""
    overrides = [word for path, value in changes.items() for word in ("--set", f"{path}={value}")]
    return ["-m", f"pipelines.{name}", of, *overrides]


def storage(folder: Path) -> Changes:
    """For a run that shares nothing but shards with others."""
    return {f"storage.{name}": folder / name for name in ("runs", "results", "reports")}


def finish(host: Host, words: Sequence[str], log: Path, env: Environment) -> None:
    """Run Python on a host to its end.

    Raises:
        ClusterError: It failed.
    """
    if returned := host.start("python", *words, log=log, env=env, cwd=ROOT).wait():
        raise ClusterError(f"{' '.join(words[:2])} ended with {returned}\n{end_of(log)}")


def rows_of(folder: Path, driver: subprocess.Popen[bytes], *, log: Path) -> Iterator[Row]:
    """The rows of the training with this ``storage`` until its driver ends, without those of evaluations; a run that
    goes on writes its file anew, and all come again.

    Raises:
        ClusterError: It failed, or nothing came for long.
    """
    followers, heard, ended = dict[Path, Follower](), time.monotonic(), False
    while not ended:
        ended = driver.poll() is not None  # before the last look
        for path in folder.glob("runs/*/metrics.jsonl"):
            for row in followers.setdefault(path, Follower(path)).new_rows():
                if "epoch" in row:
                    yield row
                heard = time.monotonic()
        if time.monotonic() - heard > PATIENCE_SECONDS:
            raise ClusterError(f"no step for {PATIENCE_SECONDS:.0f} s\n{end_of(log)}")
        time.sleep(0.05)
    if driver.returncode:
        raise ClusterError(f"the training ended with {driver.returncode}\n{end_of(log)}")


def told(rows: Iterator[Row], say: Callable[[str], None]) -> Iterator[Row]:
    """The rows; of each epoch that ends is said what it was."""
    epochs = 0
    for row in rows:
        if "train/epoch_samples" in row and row["epoch"] > epochs:
            epochs = round(row["epoch"])
            say(f"epoch {epochs}: loss {row['train/loss']:.4f}, {row['train/epoch_samples']:.0f} samples")
        yield row
