"""A cluster of two hosts on this machine that loses one of them while it trains, and what becomes of the run.

    python -m infra.two_hosts [--one-network | --remove]

It tells the story; hosts, services and evidence are its neighbours' business.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.evidence import Curves, Trained, differences, flaws, read_shown, read_trained
from infra.hosts import CABLE, Host, cut, leftovers, mend, remove, scratch_folder, two_hosts, why_no_namespaces
from infra.services import (
    RAY_PORT,
    ClusterError,
    Environment,
    environment,
    num_nodes,
    postgres_binaries,
    start_head,
    start_worker,
    tracking_server,
    wait_for_node,
    wait_until,
)
from infra.stages import ROOT, Changes, finish, rows_of, stage, storage, told
from wavemix.tracking import read_rows
from wavemix.tracking.jsonl import Row

EXPERIMENT = "digits"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Cluster:
    """Host a has the head, the driver and the tracking server; host b is the one that comes to harm."""

    a: Host
    b: Host
    scratch: Path
    env: Environment
    say: Say

    def has_lost_b(self) -> bool:
        return num_nodes(self.a, self.env) == 1


Fault = Callable[[Cluster], None]
"""Harms host b, and lets it come back."""


def kill_host(cluster: Cluster) -> None:
    cluster.say(f"killed all {cluster.b.kill()} processes of host b")
    time.sleep(3)
    start_worker(cluster.b, cluster.a, cluster.scratch, cluster.env)
    cluster.say("host b starts again")


def cut_cable(cluster: Cluster) -> None:
    """Ray forgives a cut of some seconds; this one lasts until it gives the host up."""
    cut(cluster.b)
    cluster.say("cut the cable; the processes of host b live on")
    wait_until("the loss of host b", cluster.has_lost_b, seconds=600, log=cluster.scratch / "driver.log")
    mend(cluster.b)
    cluster.say("the head has given host b up; mended the cable: Ray on host b learns of it, ends, and starts again")


@dataclass(frozen=True)
class Outcome:
    disturbed: Trained
    undisturbed: Trained
    shown: Mapping[str, Curves]  # in MLflow, by run

    def disagreements(self) -> list[str]:
        """What the faults have changed, in sentences."""
        return differences(self.disturbed, self.undisturbed) + flaws(self.shown, self.disturbed.curves)


def rehearse(scratch: Path, faults: Sequence[Fault], *, namespaces: bool, num_epochs: int, say: Say) -> Outcome:
    """Train on two hosts with a fault in the middle of an epoch, several times; then the same without any trouble.

    Raises:
        ClusterError: Something did not start, or did not go on by itself.
    """
    env = {**environment(scratch), "PYTHONPATH": str(ROOT)}
    recipe = f"experiments.{EXPERIMENT}.recipe"
    changes: Changes = {
        f"{recipe}.phases.0.num_epochs": num_epochs - 1,
        f"{recipe}.phases.1.num_epochs": 1,
        f"{recipe}.checkpoint_every_steps": 7,  # so that it goes on within an epoch
        "launch.cpus_per_worker": 1,
        "launch.gpus_per_worker": 0,
        "launch.jobs": "null",
        "storage.shards": scratch / "shards",
        "storage.remote": "null",
    }
    network: Changes = {"launch.network_interface": CABLE if namespaces else "lo"}
    with two_hosts(namespaces=namespaces) as (a, b):
        cluster = Cluster(a, b, scratch, env, say)
        say(f"preparing {EXPERIMENT}")
        finish(a, stage("prepare", EXPERIMENT, changes), scratch / "prepare.log", env)
        say(f"starting Ray: the head on host a ({a.address}), a second node on host b ({b.address})")
        start_head(a, scratch, env)
        wait_for_node(a, scratch)
        start_worker(b, a, scratch, env)
        wait_for_node(b, scratch)
        say("starting MLflow on host a, with PostgreSQL behind it")
        with tracking_server(a, scratch, env) as uri:
            say(f"training {EXPERIMENT} for {num_epochs} epochs, a worker on each host, shown at {uri}")
            _train_with_faults(cluster, faults, {**changes, **network, "tracking.mlflow_uri": uri})
            say("trained, and nobody helped; reading the curves in MLflow")
            finish(a, ["-m", "infra.evidence", uri, str(scratch / "shown.json")], scratch / "evidence.log", env)
    say("training the same without any trouble, with two processes of this machine")
    _train_alone(scratch, changes, env)
    disturbed, undisturbed = (read_trained(scratch / name, EXPERIMENT) for name in ("disturbed", "undisturbed"))
    return Outcome(disturbed, undisturbed, read_shown(scratch / "shown.json"))


def _train_with_faults(cluster: Cluster, faults: Sequence[Fault], changes: Changes) -> None:
    a, scratch = cluster.a, cluster.scratch
    spread: Changes = {
        "launch.launcher": "ray",
        "launch.address": f"{a.address}:{RAY_PORT}",
        "launch.num_workers": 2,
        "launch.placement": "spread",
    }
    words = stage("train", EXPERIMENT, {**changes, **spread, **storage(scratch / "disturbed")})
    driver = a.start("python", *words, log=scratch / "driver.log", env=cluster.env, cwd=ROOT)
    rows = told(rows_of(scratch / "disturbed", driver, log=scratch / "driver.log"), cluster.say)
    epochs = 1.0
    for fault in faults:
        epochs = _harm(cluster, fault, rows, earliest=epochs + 1)
    for _ in rows:
        pass


def _train_alone(scratch: Path, changes: Changes, env: Environment) -> None:
    alone: Changes = {"launch.launcher": "local", "tracking.mlflow_uri": "null", **storage(scratch / "undisturbed")}
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    here = Host("here", "127.0.0.1", None)
    try:
        words = stage("train", EXPERIMENT, {**changes, **alone})
        finish(here, [*torchrun, *words], scratch / "undisturbed.log", env)
    finally:
        here.kill()


def _harm(cluster: Cluster, fault: Fault, rows: Iterator[Row], *, earliest: float) -> float:
    """Harm host b in the middle of an epoch, and wait until the training is beyond it; returns its epochs so far."""
    last = _next(rows, lambda row: row["epoch"] > earliest and row["epoch"] % 1 > 0)
    cluster.say(f"after step {last['step']}, in the middle of epoch {int(last['epoch']) + 1}:")
    harmed = time.time()
    fault(cluster)
    beyond = _next(rows, lambda row: row["step"] > last["step"] and row["time"] > harmed)
    files = cluster.scratch.glob("disturbed/runs/*/faults.jsonl")
    *_, continued = (row for file in files for row in read_rows(file) if row["kind"] == "continued")
    cluster.say(f"{continued['text']}; at step {beyond['step']} {beyond['time'] - harmed:.0f} s after the fault")
    return float(beyond["epoch"])


def _next(rows: Iterator[Row], wanted: Callable[[Row], bool]) -> Row:
    for row in rows:
        if wanted(row):
            return row
    raise ClusterError("the training ended before all faults had come and were overcome")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.two_hosts")
    parser.add_argument("--one-network", action="store_true", help="two Ray nodes on this machine's own network")
    parser.add_argument("--remove", action="store_true", help="kill and remove what earlier, killed runs have left")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it cleans up
    if arguments.remove:
        for run in leftovers():
            remove(run)
            print(f"removed what run {run} had left")
        return 0
    if left := leftovers():
        print(f"runs that were killed have left hosts behind ({left}): python -m infra.two_hosts --remove")
    if postgres_binaries() is None:
        print("error: PostgreSQL is needed, and its initdb is not here (package postgresql)", file=sys.stderr)
        return 1
    reason = "asked for" if arguments.one_network else why_no_namespaces()
    if reason:
        print(f"no network namespaces ({reason}): two Ray nodes on one network instead, and no cable to cut")
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    faults = [kill_host] if reason else [kill_host, cut_cable]
    try:
        with scratch_folder() as scratch:
            outcome = rehearse(scratch, faults, namespaces=reason is None, num_epochs=6 + 4 * len(faults), say=say)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing is left behind", file=sys.stderr)
        return 130
    wrong = outcome.disagreements()
    say(f"samples seen per epoch: {outcome.disturbed.samples_of_epochs}")
    num_points = sum(map(len, next(iter(outcome.shown.values()), {}).values()))
    say(f"MLflow: {len(outcome.shown)} run, {num_points} points")
    for one in wrong:
        say(f"WRONG: {one}")
    if not wrong:
        say("same samples, curves and weights as without trouble; in MLflow every point once, in order")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
