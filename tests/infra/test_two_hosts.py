"""Two hosts on one machine, a training across both, and one of them lost in the middle of an epoch."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from infra.evidence import Trained, differences, flaws
from infra.hosts import Host, cut, leftovers, mend, remove, scratch_folder, two_hosts, why_no_namespaces
from infra.services import postgres_binaries
from infra.two_hosts import cut_cable, kill_host, rehearse

NO_NAMESPACES = why_no_namespaces()

needs_namespaces = pytest.mark.skipif(NO_NAMESPACES is not None, reason=f"no network namespaces: {NO_NAMESPACES}")

LISTEN = "import socket; s = socket.create_server(('10.213.7.1', 9000)); print(flush=True)\nwhile True: s.accept()"
CONNECT = "import socket; socket.create_connection(('10.213.7.1', 9000), timeout=2)"
SPAWN = "import subprocess, time; subprocess.Popen(['sleep', '600']); print(flush=True); time.sleep(600)"

CURVES = {"train/loss": [(10, 2.0), (20, 1.0)], "train/epoch_samples": [(20, 1259.0), (40, 1259.0)]}
TRAINED = Trained(CURVES, "step,train/loss\n", "00")


def spoke(log: Path) -> None:
    """Wait until a process has said that it is ready."""
    until = time.monotonic() + 60
    while not log.read_text():
        assert time.monotonic() < until, "the process did not start"
        time.sleep(0.05)


def reaches(host: Host) -> bool:
    return subprocess.run(host.command(sys.executable, "-c", CONNECT), capture_output=True, check=False).returncode == 0


@needs_namespaces
def test_hosts_reach_each_other_unless_the_cable_is_cut(tmp_path: Path) -> None:
    with two_hosts(namespaces=True) as (a, b):
        a.start(sys.executable, "-c", LISTEN, log=tmp_path / "log", env=os.environ)
        spoke(tmp_path / "log")
        assert reaches(b)
        cut(b)
        assert not reaches(b)
        assert reaches(a)
        mend(b)
        assert reaches(b)


@pytest.mark.parametrize("namespaces", [pytest.param(True, marks=needs_namespaces), False])
def test_a_killed_host_has_no_process_left_and_the_other_has_all(tmp_path: Path, namespaces: bool) -> None:
    with two_hosts(namespaces=namespaces) as (a, b):
        for host in (a, b):
            host.start(sys.executable, "-c", SPAWN, log=tmp_path / host.name, env=os.environ)
            spoke(tmp_path / host.name)
        kept, lost = (psutil.Process(host.started[0].pid) for host in (a, b))
        below = [*kept.children(), *lost.children()]
        assert b.kill() == 2
        assert not lost.is_running()
        assert kept.is_running()
        assert len(kept.children()) == 1
    gone, alive = psutil.wait_procs([kept, *below], timeout=30)
    assert len(gone) == 3
    assert not alive


@needs_namespaces
def test_what_a_killed_run_leaves_is_found_and_removed() -> None:
    script = (
        "import os, signal; from infra.hosts import *\n"
        "with scratch_folder(), two_hosts(namespaces=True): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    killed.wait()
    assert killed.pid in leftovers()
    remove(killed.pid)
    assert killed.pid not in leftovers()


def test_a_run_that_lost_or_repeated_samples_is_told_from_one_that_did_not() -> None:
    assert differences(TRAINED, TRAINED) == []
    lost = replace(TRAINED, curves={**CURVES, "train/epoch_samples": [(20, 1195.0), (40, 1259.0)]})
    assert differences(lost, TRAINED) == ["samples seen per epoch: [1195, 1259], expected [1259, 1259]"]
    assert differences(replace(TRAINED, table="", weights_sha256="01"), TRAINED) == [
        "curves.csv is another",
        "the weights are others",
    ]


@pytest.mark.parametrize(
    ("loss", "flaw"),
    [
        ([(10, 2.0), (20, 1.0)], []),
        ([(10, 2.0), (10, 2.0), (20, 1.0)], ["steps are doubled", "not what was written"]),
        ([(20, 1.0), (10, 2.0)], ["steps go back", "not what was written"]),
        ([(10, 2.0)], ["not what was written"]),
    ],
)
def test_curves_that_are_doubled_go_back_or_have_a_gap_are_flaws(
    loss: list[tuple[int, float]], flaw: list[str]
) -> None:
    assert flaws({"run": {**CURVES, "train/loss": loss}}, CURVES) == [f"train/loss: {one}" for one in flaw]
    assert flaws({"run": CURVES, "another": {}}, CURVES) == ["MLflow shows 2 runs"]


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.timeout(1500)  # a busy machine starts Ray in minutes; a quiet one does all in two
@pytest.mark.skipif(postgres_binaries() is None, reason="no PostgreSQL (initdb) on this machine")
def test_a_host_lost_in_the_middle_of_an_epoch_costs_no_sample_and_doubles_no_point() -> None:
    told: list[str] = []
    faults = [kill_host] if NO_NAMESPACES else [cut_cable]
    with scratch_folder() as scratch:
        outcome = rehearse(scratch, faults, namespaces=NO_NAMESPACES is None, num_epochs=5, say=told.append)
    assert sum("in the middle of epoch" in one for one in told) == len(faults)
    assert sum(one.startswith("goes on after step ") for one in told) == len(faults)
    assert outcome.disturbed.samples_of_epochs == [1259] * 5
    assert outcome.disagreements() == []
    (curves,) = outcome.shown.values()
    assert [step for step, _ in curves["train/epoch_samples"]] == [20, 40, 60, 80, 100]
    assert {"system/node-0/cpu_utilization_percentage", "system/node-1/cpu_utilization_percentage"} <= set(curves)
