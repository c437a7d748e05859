"""The tasks beside digits as a user runs them: real pictures, two ranks, scores beside baselines.

Ranks are started by torchrun, to whose numbers Ray's are equal (test_launchers); `make demo` trains all four under Ray.
"""

import csv
import io
import json
from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

Project = Any  # tests/pipelines/conftest.py

SMALLER = {
    "scenes": {
        "data.scenes.source.num_train": "50",
        "data.scenes.source.num_val": "11",
        "data.scenes.source.num_test": "13",
        "experiments.scenes.task.model.dim": "8",
        "experiments.scenes.task.model.depth": "1",
    },
    "photographs_x2": {
        "experiments.photographs_x2.task.model.dim": "8",
        "experiments.photographs_x2.task.model.depth": "1",
        "experiments.photographs_x2.recipe.global_batch": "31",
    },
    "photographs_holes": {
        "experiments.photographs_holes.task.model.dim": "8",
        "experiments.photographs_holes.task.model.blocks_per_module": "1",
        "experiments.photographs_holes.recipe.global_batch": "60",
    },
}
"""Batches and splits are no multiples of two, so the two ranks have unequal parts."""


@pytest.mark.parametrize("name", SMALLER)
def test_two_ranks_give_the_numbers_of_one_process(project: Project, name: str) -> None:
    tree = project.params()
    tree["active"] = {"data": [], "experiments": {}, "sweeps": {}}
    for path, value in SMALLER[name].items():
        *places, last = path.split(".")
        section = tree
        for place in places:
            section = section[place]
        section[last] = int(value)
    recipe = tree["experiments"][name]["recipe"]
    recipe["phases"] = [{**recipe["phases"][0], "num_epochs": 1}]
    recipe["sync_batch_norm"] = True
    recipe["eval_every_epochs"] = 1
    recipe["log_every_steps"] = 1
    project.write_params(tree)
    project.run("python", "-m", "pipelines.prepare", tree["experiments"][name]["data"])

    train = ("-m", "pipelines.train", name, "--set", "launch.launcher=local")
    project.run("torchrun", "--nproc-per-node", "2", *train)
    by_two = curves(project, name)
    for run in (project.folder / "runs").iterdir():
        run.rename(run.with_name("done-by-two"))
    project.run("python", *train)
    by_one = curves(project, name)

    assert len(by_one) == len(by_two) > 2
    losses = [[float(row["train/loss"]) for row in rows if row["train/loss"]] for rows in (by_one, by_two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    # Less alike: a bias before a normalisation has no gradient but rounding, of which AdamW makes whole steps. In
    # training they cancel; in evaluation they do once the running mean has come after.
    scored = [float(rows[-1]["eval/loss"]) for rows in (by_one, by_two)]
    assert scored[1] == pytest.approx(scored[0], rel=0.02)

    project.run("python", "-m", "pipelines.evaluate", name)
    evaluation = project.folder / "results" / "experiments" / name / "evaluation"
    summary = json.loads((evaluation / "metrics.json").read_text())
    scores = summary["metrics"]
    goal, _ = json.loads((evaluation.parent / "train" / "model.json").read_text())["goal"]
    baselines = {"psnr_y": "psnr_y_bicubic", "l1_hole": "l1_hole_mean_fill"}
    assert {goal, baselines.get(goal, goal)} <= set(scores)
    assert json.loads((evaluation / "cost.json").read_text())["num_parameters"] > 0
    assert list((evaluation / "samples").iterdir())
    with (evaluation / "tables" / "samples.csv").open() as file:
        own = [float(row[goal]) for row in csv.DictReader(file)]
    assert len(own) == summary["num_samples"]
    if goal != "miou":  # which is no mean over pictures
        assert sum(own) / len(own) == pytest.approx(scores[goal], rel=1e-4)


def curves(project: Project, name: str) -> list[dict[str, str]]:
    text = (project.folder / "results" / "experiments" / name / "train" / "curves.csv").read_text()
    return list(csv.DictReader(io.StringIO(text)))
