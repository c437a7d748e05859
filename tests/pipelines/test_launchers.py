"""One loop, however its processes came about: the same numbers, and the same numbers after a crash."""

import csv
import io
import json
from typing import Any

import mlflow
import psutil
import pytest
import yaml

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


def test_a_sweep_ranks_its_trials_and_hands_over_the_best(project: Project) -> None:
    tree = project.params()
    sweep = tree["sweeps"]["digits_lr"]
    sweep["overrides"] = {"recipe.phases.0.num_epochs": 1, "recipe.phases.1.num_epochs": 1}
    project.write_params(tree)
    project.track()
    project.run("python", "-m", "pipelines.tune", "digits_lr")

    results = project.folder / "results" / "sweeps" / "digits_lr"
    with (results / "trials.csv").open() as file:
        trials = list(csv.DictReader(file))
    scores = [float(trial["score"]) for trial in trials]
    assert len(trials) == 2
    assert scores == sorted(scores, reverse=True)
    assert len({trial["recipe.phases.0.lr"] for trial in trials}) == 2
    best = yaml.safe_load((results / "best.yaml").read_text())
    assert best["experiments.digits.recipe.phases.0.lr"] == float(trials[0]["recipe.phases.0.lr"])

    # What it hands over repeats the best trial: the same run key, so the run is found and not done again.
    overrides = [f"{path}={value}" for path, value in best.items()]
    project.train("launch.launcher=local", *overrides)
    trained = json.loads((project.folder / "results/experiments/digits/train/model.json").read_text())
    assert trained["run_key"] == trials[0]["trial"]
    assert trained["val_score"] == scores[0]

    client = mlflow.MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    (experiment,) = [found for found in client.search_experiments() if found.name == "wavemix"]
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run.info.run_id for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert [run.data.tags["mlflow.parentRunId"] for run in runs if run.info.run_id != parent] == [parent] * 2
