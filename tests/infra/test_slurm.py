"""The batch script: who is told to stop, what becomes of the job then, and what it leaves behind.

Slurm and Ray are stood in for by scripts of a few lines, which signal and fail as they do; the script itself is real.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "infra/slurm/train.sbatch"

SRUN = """#!/bin/bash
"$@" &
echo $! >task.pid # the only process of a step that Slurm signals
wait $!
"""
SCONTROL = """#!/bin/bash
case $1 in
    show) echo first; echo second ;;
    requeue) echo "$2" >requeued ;;
esac
"""
SCANCEL = """#!/bin/bash
[ "$1" = --signal=TERM ] && kill -TERM "$(<task.pid)"
"""
RAY = """#!/bin/bash
printf '%s\\n' "$@" >ray.arguments
[ -e ray-is-broken ] && exit 0 # as symmetric-run does when `ray start` fails
while [ "$1" != -- ]; do shift; done
"${@:2}"
"""
TRAINING = """
import os, pathlib, signal, sys, time

def stop(*_):
    pathlib.Path("checkpoint").touch()
    sys.exit(143)

signal.signal(signal.SIGTERM, stop)
token = pathlib.Path(os.environ["RAY_AUTH_TOKEN_PATH"])
told = [*sys.argv[1:], os.environ["RAY_ADDRESS"], oct(token.stat().st_mode), str(len(token.read_text()))]
pathlib.Path("training.writes").write_text(" ".join(told))
pathlib.Path("training.writes").rename("training")
if pathlib.Path("lasts").exists():
    time.sleep(60)
"""


@dataclass(frozen=True)
class Batch:
    """The script, started in ``folder`` as Slurm starts it on the first node."""

    folder: Path
    process: subprocess.Popen[str]

    def until(self, name: str) -> None:
        give_up = time.monotonic() + 60
        while not (self.folder / name).exists():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < give_up, f"no {name} after a minute"
            time.sleep(0.02)

    def ends(self) -> int:
        self.process.communicate(timeout=60)
        return self.process.returncode

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Batch]]:
    started = []

    def begin(*flags: str) -> Batch:
        for name, text in {"srun": SRUN, "scontrol": SCONTROL, "scancel": SCANCEL, "ray": RAY}.items():
            command = tmp_path / "bin" / name
            command.parent.mkdir(exist_ok=True)
            command.write_text(text)
            command.chmod(0o755)
        (tmp_path / "bin" / "activate").touch()
        (tmp_path / "pipelines").mkdir()
        (tmp_path / "pipelines" / "train.py").write_text(TRAINING)
        for flag in flags:
            (tmp_path / flag).touch()
        environment = {
            "PATH": f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "WAVEMIX_VENV": str(tmp_path),
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NODELIST": "node[1-2]",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "8",
            "SLURM_NODEID": "0",
        }
        words = ["bash", str(SCRIPT), "digits", "--set", "experiments.digits.seed=1"]
        process = subprocess.Popen(
            words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return Batch(tmp_path, process)

    yield begin
    for process in started:
        process.kill()
        process.wait()


def test_the_training_gets_its_arguments_the_cluster_and_a_token_for_its_owner_alone(
    start: Callable[..., Batch],
) -> None:
    batch = start()
    assert batch.ends() == 0
    told = (batch.folder / "training").read_text()
    assert told == "digits --set experiments.digits.seed=1 first:6379 0o100600 64"
    assert not batch.has(".wavemix-7"), "the token is gone with the job"
    assert not batch.has("requeued")


def test_ray_starts_on_every_node_by_rules_of_symmetric_run(start: Callable[..., Batch]) -> None:
    batch = start()
    batch.ends()
    words = (batch.folder / "ray.arguments").read_text().splitlines()
    before = words[: words.index("--")]  # mandatory, and whether this node is the head is not for us to say
    assert before == ["symmetric-run", "--address", "first:6379", "--min-nodes", "2", "--num-cpus", "8"]


def test_out_of_time_the_training_saves_and_the_job_is_queued_again(start: Callable[..., Batch]) -> None:
    batch = start("lasts")
    batch.until("training")
    batch.process.send_signal(signal.SIGUSR1)  # what --signal=B:USR1@120 sends
    assert batch.ends() == 143
    assert batch.has("checkpoint")
    assert (batch.folder / "requeued").read_text() == "7\n"


def test_cancelled_the_training_saves_and_the_job_stays_away(start: Callable[..., Batch]) -> None:
    batch = start("lasts")
    batch.until("training")
    os.kill(int((batch.folder / "task.pid").read_text()), signal.SIGTERM)
    batch.process.send_signal(signal.SIGTERM)
    assert batch.ends() == 143
    assert batch.has("checkpoint")
    assert not batch.has("requeued")
    assert not batch.has(".wavemix-7")


def test_a_ray_that_does_not_start_is_a_failure(start: Callable[..., Batch]) -> None:
    batch = start("ray-is-broken")
    output, _ = batch.process.communicate(timeout=60)
    assert batch.process.returncode == 1
    assert "Ray did not start" in output
    assert not batch.has("training")


def test_time_is_left_for_a_checkpoint_and_the_signal_goes_to_the_script() -> None:
    options = [line.removeprefix("#SBATCH ") for line in SCRIPT.read_text().splitlines() if line.startswith("#SBATCH")]
    assert "--signal=B:USR1@120" in options
    assert "--requeue" in options
    assert "--open-mode=append" in options, "the log of the first try is kept"
    assert "--ntasks-per-node=1" in options, "one Ray on each node"
