"""Decides how each fault is injected into a training, and how its outcome is told; does not know how many there are."""

import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from benchmarks._runs import Training, Watch, free_port, kill_tree, ray_workers
from wavemix.data import read_manifest
from wavemix.report.faults import Fault
from wavemix.tracking import read_rows
from wavemix.training.checkpoint import WEIGHTS, newest_checkpoint

CHANGES = (
    "experiments.digits.task.model.dim=16",
    "experiments.digits.task.model.depth=1",
    "experiments.digits.recipe.phases.0.num_epochs=38",
    "experiments.digits.recipe.phases.1.num_epochs=2",
    "experiments.digits.recipe.log_every_steps=1",
    "launch.hang_seconds=20.0",
)
STEPS = 800
NUM_EPOCHS = 40

Process = subprocess.Popen[bytes]
Inject = Callable[[Training, Process, random.Random], Process]
Measure = Callable[[str, int, Training, Training], Fault]


def worker_killed(_training: Training, process: Process, draw: random.Random) -> Process:
    draw.choice(ray_workers(process)).kill()
    return process


def worker_hangs(_training: Training, process: Process, draw: random.Random) -> Process:
    draw.choice(ray_workers(process)).send_signal(signal.SIGSTOP)
    return process


def out_of_memory(_training: Training, process: Process, draw: random.Random) -> Process:
    """No page more than it has now: the next large allocation fails."""
    worker = draw.choice(ray_workers(process))
    resource.prlimit(worker.pid, resource.RLIMIT_AS, (worker.memory_info().vms, resource.RLIM_INFINITY))
    return process


def driver_killed(training: Training, process: Process, _draw: random.Random) -> Process:
    kill_tree(process)
    return training.start()


def checkpoint_damaged(training: Training, process: Process, draw: random.Random) -> Process:
    kill_tree(process)
    newest = newest_checkpoint(training.run_dir / "checkpoints")
    assert newest is not None
    content = bytearray((newest / WEIGHTS).read_bytes())
    content[draw.randrange(len(content))] ^= 1
    (newest / WEIGHTS).write_bytes(content)
    return training.start()


def asked_to_stop(training: Training, process: Process, _draw: random.Random) -> Process:
    process.send_signal(signal.SIGTERM)
    if (code := process.wait()) != 143:
        raise RuntimeError(f"exit code {code} after a SIGTERM:\n{training.log.read_text()[-2000:]}")
    return training.start()


def injected(fault: Inject, *, by_itself: bool) -> Measure:
    """How a fault is measured that is done to a training on a Ray of its own; ``by_itself``: nobody runs it again."""

    def measure(kind: str, seed: int, training: Training, reference: Training) -> Fault:
        draw = random.Random(f"{kind} {seed}")
        at = draw.randrange(30, STEPS - 100)
        watch, process = Watch(training), training.start()
        watch.until(lambda: watch.last_step >= at, process)
        hit, hit_at = watch.last_step, time.time()
        process = fault(training, process, draw)
        watch.until(lambda: process.poll() is not None)
        return _outcome(kind, seed, training, reference, watch, hit, hit_at, by_itself=by_itself)

    return measure


def losing_a_node(kind: str, seed: int, training: Training, reference: Training) -> Fault:
    """All processes of one of two nodes are killed; the node is started again, as a service manager would."""
    at = random.Random(f"{kind} {seed}").randrange(30, STEPS - 100)
    with (
        tempfile.TemporaryDirectory(prefix="wmx-", dir="/tmp") as temporary,
        _two_nodes(Path(temporary)) as (address, nodes),
    ):
        watch = Watch(training)
        process = training.start(f"launch.address={address}", "launch.placement=spread")
        watch.until(lambda: watch.last_step >= at, process)
        hit, hit_at = watch.last_step, time.time()
        kill_tree(nodes.pop())
        nodes.append(_node(Path(temporary), f"--address={address}"))
        watch.until(lambda: process.poll() is not None)
        return _outcome(kind, seed, training, reference, watch, hit, hit_at, by_itself=True)


@contextmanager
def _two_nodes(temporary: Path) -> Iterator[tuple[str, list[Process]]]:
    """Two Ray nodes on this machine, of one CPU each; the second of the list is not the head."""
    token = temporary / "token"
    token.touch(mode=0o600)
    token.write_text("0" * 64)
    port = free_port()
    with patch.dict(os.environ, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token)):
        head = ["--head", f"--port={port}", "--include-dashboard=false", "--node-ip-address=127.0.0.1"]
        nodes = [_node(temporary, *head)]
        try:
            time.sleep(5)
            nodes.append(_node(temporary, f"--address=127.0.0.1:{port}"))
            yield f"127.0.0.1:{port}", nodes
        finally:
            for node in nodes:
                kill_tree(node)


def _node(temporary: Path, *options: str) -> Process:
    where = ["--num-cpus=1", f"--temp-dir={temporary}", "--disable-usage-stats", "--block"]
    with (temporary / "nodes.log").open("ab") as log:
        ray = Path(sys.executable).with_name("ray")
        return subprocess.Popen([ray, "start", *options, *where], stdout=log, stderr=log, start_new_session=True)


def not_finite(kind: str, seed: int, training: Training, _reference: Training) -> Fault:
    """Pictures are broken at three steps in a row. Those steps do nothing, so the training ends with other weights."""
    at = random.Random(f"{kind} {seed}").randrange(30, STEPS - 100)
    watch, process = Watch(training), training.start(torchrun=2, module=("benchmarks._poison", str(at)))
    watch.until(lambda: process.poll() is not None)
    rolled_back = [row for row in read_rows(training.run_dir / "faults.jsonl") if row["kind"] == "rollback"]
    rows = {row["step"]: row for row in training.rows() if "train/lr" in row}
    if not rolled_back or STEPS not in rows:
        return _failed(kind, seed, training, at, by_itself=True)
    seconds = rows[at + 4]["time"] - rows[at]["time"]
    return Fault(kind, seed, at, True, True, None, 0, _lost(training), round(seconds, 2))


def _outcome(
    kind: str,
    seed: int,
    training: Training,
    reference: Training,
    watch: Watch,
    hit: int,
    hit_at: float,
    *,
    by_itself: bool,
) -> Fault:
    """What became of a training that has ended."""
    watch.look()
    rows, faults = training.rows(), list(read_rows(training.run_dir / "faults.jsonl"))
    began_again = [row["time"] for row in faults if row["kind"] == "continued"]
    if not began_again or not rows or rows[-1]["step"] != STEPS:
        return _failed(kind, seed, training, hit, by_itself=by_itself)
    before = max(row["step"] for row in watch.seen if row["time"] < began_again[0])
    first_at, first = min((row["time"], row["step"]) for row in watch.seen if row["time"] > began_again[0])
    identical = training.curve() == reference.curve() and training.weights() == reference.weights()
    redone, seconds = before - (first - 1), round(first_at - hit_at, 2)
    return Fault(kind, seed, hit, by_itself, True, identical, redone, _lost(training), seconds)


def _failed(kind: str, seed: int, training: Training, hit: int, *, by_itself: bool) -> Fault:
    print(f"{kind}, seed {seed}: {training.log.read_text()[-1500:]}", file=sys.stderr)
    return Fault(kind, seed, hit, by_itself, False, False, 0, _lost(training), 0.0)


def _lost(training: Training) -> int:
    """Samples that were not trained on, over all epochs, as the training counted them."""
    epochs = [row["train/epoch_samples"] for row in training.rows() if "train/epoch_samples" in row]
    return read_manifest(training.shards / "digits").num_samples("train") * NUM_EPOCHS - int(sum(epochs))


KINDS: dict[str, Measure] = {
    "worker killed": injected(worker_killed, by_itself=True),
    "worker hangs": injected(worker_hangs, by_itself=True),
    "worker out of memory": injected(out_of_memory, by_itself=True),
    "node killed": losing_a_node,
    "gradient not finite": not_finite,
    "driver and all workers killed": injected(driver_killed, by_itself=False),
    "killed, and the newest checkpoint damaged": injected(checkpoint_damaged, by_itself=False),
    "SIGTERM": injected(asked_to_stop, by_itself=False),
}
"""What is done to trainings."""
