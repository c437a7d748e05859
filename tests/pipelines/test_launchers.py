"""One loop, however its processes came about: the same numbers, and the same numbers after a crash."""

import csv
import io
from typing import Any

import psutil
import pytest

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # what MLflow and its libraries warn of in this process is theirs
]

Project = Any  # tests/pipelines/conftest.py


def column(project: Project, name: str) -> list[float]:
    table = csv.DictReader(io.StringIO(project.curves()))
    return [float(row[name]) for row in table if row[name]]


def test_one_process_gives_the_curve_of_two_ranks(project: Project) -> None:
    # Dropout draws other numbers for other ranks; all else must agree up to the order of additions.
    few = ["experiments.digits.task.model.dropout=0.0", "experiments.digits.recipe.phases.0.num_epochs=1"]
    project.train("launch.launcher=local", *few)
    alone = {name: column(project, name) for name in ("train/loss", "eval/loss", "eval/top1")}
    project.train(*few, torchrun=True)  # the same run key: a finished run is not done again
    assert {name: column(project, name) for name in alone} == alone
    for run in (project.folder / "runs").iterdir():
        run.rename(run.with_name("done-by-one-process"))
    project.train(*few, torchrun=True)
    for name, values in alone.items():
        assert column(project, name) == pytest.approx(values, rel=2e-4, abs=1e-6), name


def test_ray_gives_the_numbers_of_torchrun_bit_for_bit_even_when_a_worker_is_killed(
    project: Project, reference: Project
) -> None:
    process = project.start("python", "-m", "pipelines.train", "digits")
    project.wait_for_checkpoints(2, process)
    workers = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if any("RayTrainWorker" in part for part in child.cmdline()[:1])
    ]
    assert len(workers) == 2
    workers[1].kill()
    assert process.wait(timeout=200) == 0, (project.folder / "started.log").read_text()
    assert project.curves() == reference.curves()
    assert project.weights() == reference.weights()


def test_a_rank_of_torchrun_that_is_killed_leaves_a_run_that_goes_on(project: Project, reference: Project) -> None:
    command = ["torchrun", "--nproc-per-node", "2", "-m", "pipelines.train", "digits", "--set", "launch.launcher=local"]
    process = project.start(*command)
    project.wait_for_checkpoints(3, process)
    project.kill(process)
    assert project.last_step() < 160
    project.train(torchrun=True)
    assert project.curves() == reference.curves()
    assert project.weights() == reference.weights()


def test_a_ray_that_does_not_answer_is_said_at_once(project: Project) -> None:
    said = project.run(
        "python", "-m", "pipelines.train", "digits", "--set", "launch.address=127.0.0.1:9", fails=True
    ).stderr
    assert "error: launch.address: no Ray answers at 127.0.0.1:9" in said
    assert "Traceback" not in said
