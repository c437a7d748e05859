"""Sweeps on Ray Tune: killed and run again, trials that are ended early or fail, and checkpoints handed over."""

import csv
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch
import yaml

from wavemix.training.checkpoint import OPTIMIZER, checkpoints, read_meta

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("default"),  # what MLflow and its libraries warn of in this process is theirs
]

Project = Any  # tests/pipelines/conftest.py

LR = "recipe.phases.0.lr"
DECAY = "recipe.phases.0.weight_decay"
GOOD, POOR, BROKEN = 1.0e-2, 1.0e-6, 1.0e30


def write_sweep(project: Project, **sweep: Any) -> None:
    tree = project.params()
    made = {"experiment": "digits", "workers_per_trial": 1, **sweep}
    project.write_params({**tree, "sweeps": {"trials": made}})


def entries(project: Project) -> dict[str, dict[str, Any]]:
    """What the sweep noted of its runs, by their keys."""
    paths = project.folder.glob("runs/tune/trials-*/entries/*.json")
    return {path.stem: json.loads(path.read_text()) for path in paths}


def wait_for(project: Project, process: subprocess.Popen[bytes], what: str, there: Any) -> None:
    until = time.monotonic() + 280
    while not there():
        assert process.poll() is None, (project.folder / "started.log").read_text()
        assert time.monotonic() < until, f"{what} did not come"
        time.sleep(0.1)


def table(project: Project) -> list[dict[str, str]]:
    with (project.folder / "results/sweeps/trials/trials.csv").open() as file:
        return list(csv.DictReader(file))


def evaluated_steps(project: Project, run_key: str) -> list[int]:
    lines = (project.folder / "runs" / run_key / "metrics.jsonl").read_text().splitlines()
    return [row["step"] for row in map(json.loads, lines) if "eval/top1" in row]


def test_a_sweep_that_was_killed_goes_on_and_counts_trials_that_ended_early_or_failed(project: Project) -> None:
    write_sweep(
        project,
        num_trials=3,
        seed=35,  # draws them in this order
        space={LR: {"choice": [GOOD, POOR, BROKEN]}},
        scheduler={"kind": "asha", "grace_epochs": 2, "reduction_factor": 2},
        max_concurrent=1,
    )
    project.track()
    process = project.start("python", "-m", "pipelines.tune", "trials")
    wait_for(project, process, "a second checkpoint", lambda: len(list(project.folder.glob("runs/*/*/step-*"))) > 1)
    project.kill(process)
    (killed,) = entries(project).values()
    assert (killed["values"], killed["ended"]) == ({LR: GOOD}, "")
    done = project.run("python", "-m", "pipelines.tune", "trials")

    rows = {float(row[LR]): row for row in table(project)}
    assert {rate: row["status"] for rate, row in rows.items()} == {
        GOOD: "finished",
        POOR: "stopped early",
        BROKEN: "failed",
    }
    best, _, last = table(project)
    assert (best, last["score"]) == (rows[GOOD], "")
    assert float(rows[POOR]["epochs"]) < 8 == float(rows[GOOD]["epochs"])
    assert f"trials: trial {rows[BROKEN]['trial']} failed: TrainingError: the gradient was not finite" in done.stderr
    # The one that was killed went on from its checkpoint.
    assert best["trial"] == killed["run_key"]
    assert "goes on after step" in (project.folder / "runs" / killed["run_key"] / "faults.jsonl").read_text()
    assert evaluated_steps(project, killed["run_key"]) == [20 * epoch for epoch in range(1, 9)]

    # What it hands over repeats the best trial: the same run key, so the run is found and not done again.
    handed = project.folder / "results/sweeps/trials/best.yaml"
    assert yaml.safe_load(handed.read_text()) == {f"experiments.digits.{LR}": GOOD}
    project.train("launch.launcher=local", f"@{handed}")
    trained = json.loads((project.folder / "results/experiments/digits/train/model.json").read_text())
    assert (trained["run_key"], trained["val_score"]) == (best["trial"], float(best["score"]))

    client = mlflow.MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    (experiment,) = [found for found in client.search_experiments() if found.name == "wavemix"]
    runs = {run.data.tags["run_key"]: run for run in client.search_runs([experiment.experiment_id])}
    (parent,) = [run for run in runs.values() if "mlflow.parentRunId" not in run.data.tags]
    children = {key: run for key, run in runs.items() if run is not parent}
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {parent.info.run_id}
    assert {rate: children[row["trial"]].info.status for rate, row in rows.items()} == {
        GOOD: "FINISHED",
        POOR: "KILLED",
        BROKEN: "FAILED",
    }
    assert [key for key, run in children.items() if "stopped_early" in run.data.tags] == [rows[POOR]["trial"]]
    assert (parent.info.status, parent.data.metrics["best/top1"]) == ("FINISHED", float(best["score"]))


def test_a_trial_of_a_population_goes_on_from_the_checkpoint_of_a_better_one(project: Project) -> None:
    write_sweep(
        project,
        num_trials=2,
        space={LR: {"log_uniform": [1.0e-6, 1.0e-2]}, DECAY: {"log_uniform": [1.0e-4, 1.0e-1]}},
        # Slow enough that both run at the same time, and one has not ended when the other goes on from it.
        overrides={
            "task.model.dim": 32,
            "task.model.depth": 3,
            "recipe.phases": [{"optimizer": "adamw", "num_epochs": 30, "lr": 1.0e-3}],
        },
        scheduler={"kind": "pbt", "every_epochs": 5, "quantile": 0.5, "resample_prob": 0.0},
    )
    project.run("python", "-m", "pipelines.tune", "trials")
    noted = entries(project)
    taken = [entry for entry in noted.values() if entry["resume_from"]]
    assert taken, noted
    for entry in taken:
        aside = Path(entry["resume_from"])
        donor = noted[aside.parent.name]
        assert all(0.8 <= entry["values"][leaf] / donor["values"][leaf] <= 1.25 for leaf in (LR, DECAY))
        assert entry["values"] != donor["values"]
        handed_step = int(aside.name.removeprefix("step-"))
        run_dir = project.folder / "runs" / entry["run_key"]
        lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
        assert min(row["step"] for row in lines) in range(handed_step + 1, handed_step + 21)
        assert {row["train/lr"] for row in lines if "train/lr" in row} == {entry["values"][LR]}
        (*_, newest) = checkpoints(run_dir / "checkpoints")
        optimizer = torch.load(newest / OPTIMIZER, weights_only=True)
        assert optimizer["state"][0]["step"] == read_meta(newest)["step"]  # counted on from the donor's first step
        assert optimizer["param_groups"][0]["weight_decay"] == entry["values"][DECAY]
    ended = {row["trial"]: row for row in table(project)}
    assert any(row["status"] == "finished" for row in ended.values())
    assert {key: row["from"] for key, row in ended.items()} == {
        key: Path(entry["resume_from"]).parent.name if entry["resume_from"] else "" for key, entry in noted.items()
    }
