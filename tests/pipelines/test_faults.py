"""Training that is stopped, hangs, or is told of errors of its own: what it says, and that nothing of it is lost."""

import signal
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

Project = Any  # tests/pipelines/conftest.py


def workers_of(process: Any) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if any("RayTrainWorker" in part for part in child.cmdline()[:1])]


def kinds_of_fault(project: Project) -> list[str]:
    return [row["kind"] for row in project.rows("faults.jsonl")]


def log_of(project: Project) -> str:
    return (project.folder / "started.log").read_text()


def test_a_hang_under_ray_is_ended_and_a_sigterm_saves_at_once(project: Project, reference: Project) -> None:
    command = ["python", "-m", "pipelines.train", "digits", "--set", "launch.hang_seconds=20.0"]
    process = project.start(*command)
    project.wait_for_checkpoints(1, process)
    workers_of(process)[1].send_signal(signal.SIGSTOP)  # it does nothing any more, and nobody is told
    project.wait_for("the end of the hang", lambda: "continued" in kinds_of_fault(project), process)
    (stacks,) = project.folder.glob("runs/*/stacks-rank-*.txt")  # of the one that waited for it
    assert "wavemix/training/loop.py" in stacks.read_text()
    done_before = project.last_step()
    project.wait_for("a step", lambda: project.last_step() > done_before, process)

    process.send_signal(signal.SIGTERM)  # to the driver alone
    assert process.wait(timeout=100) == 143, log_of(project)
    stopped_after = project.last_step()
    assert f"stopped after step {stopped_after}; run it again to go on from there" in log_of(project)
    assert stopped_after < 160
    assert "Traceback" not in log_of(project)
    assert kinds_of_fault(project) == ["hang", "failed", "continued"]
    for row in project.rows("faults.jsonl"):
        assert f"\ndigits: {row['text']}\n" in log_of(project)
    assert "no sign of life for " in log_of(project)

    project.train(torchrun=True)
    assert project.curves() == reference.curves()
    assert project.weights() == reference.weights()


def test_a_sigterm_to_torchrun_saves_at_once_and_the_run_goes_on_in_the_middle_of_an_epoch(
    project: Project, reference: Project
) -> None:
    command = ["torchrun", "--nproc-per-node", "2", "-m", "pipelines.train", "digits", "--set", "launch.launcher=local"]
    process = project.start(*command)
    project.wait_for_checkpoints(1, process)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=100)
    assert "run it again to go on from there" in log_of(project)
    assert project.last_step() < 160
    project.train(torchrun=True)
    assert project.curves() == reference.curves()
    assert project.weights() == reference.weights()


def test_an_error_of_our_own_is_told_once_and_not_tried_again(project: Project) -> None:
    # A rate that drives the weights out of all bounds in the first steps.
    command = ["python", "-m", "pipelines.train", "digits", "--set", "experiments.digits.recipe.phases.0.lr=1.0e+30"]
    said = project.run(*command, fails=True).stderr
    assert "error: the gradient was not finite in 3 steps in a row, up to step " in said
    assert "lower the learning rate of this phase (recipe.phases)" in said
    assert "Traceback" not in said
    assert "restarts" not in said
