"""The pipeline as DVC runs it, in a plain copy of the project without git: killed, continued, repeated and changed.

The tests build on each other, in this order, in one copy.
"""

import json
import re
import time
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import psutil
import pytest

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # what MLflow and its libraries warn of in this process is theirs
]

Project = Any  # tests/pipelines/conftest.py


def stale_stages(project: Project) -> set[str]:
    """Stages whose own parameters, code or data have changed; what lies below them follows when they are remade."""
    return set(json.loads(project.run("dvc", "status", "--json").stdout))


def change(project: Project, file: str, old: str, new: str) -> None:
    path = project.folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_killed_repro_goes_on_from_the_last_checkpoint(dvc_project: Project, reference: Project) -> None:
    process = dvc_project.start("dvc", "repro")
    dvc_project.wait_for_checkpoints(2, process)
    started = psutil.Process(process.pid).children(recursive=True)
    dvc_project.kill(process)
    done_before = dvc_project.last_step()
    assert 0 < done_before < 160
    psutil.wait_procs(started, timeout=30)

    dvc_project.run("dvc", "repro")

    assert dvc_project.curves() == reference.curves()
    assert dvc_project.weights() == reference.weights()
    assert (dvc_project.folder / "reports" / "index.html").stat().st_size > 10_000


def test_shards_that_are_what_the_stage_would_write_are_left_alone(dvc_project: Project) -> None:
    shards = dvc_project.folder / "data" / "shards" / "digits"
    before = {path.name: path.stat().st_mtime_ns for path in shards.iterdir()}
    source = dvc_project.folder / "wavemix" / "data" / "sources" / "cifar.py"
    source.write_text(source.read_text() + "\n# a change that concerns other data\n")
    assert stale_stages(dvc_project) == {"prepare@digits"}
    dvc_project.run("dvc", "repro")
    assert {path.name: path.stat().st_mtime_ns for path in shards.iterdir()} == before
    assert stale_stages(dvc_project) == set()


def test_mlflow_has_one_run_with_every_number_once(dvc_project: Project) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{dvc_project.folder}/mlflow.db")
    (experiment,) = [found for found in client.search_experiments() if found.name == "wavemix"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    for key in ("train/loss", "train/lr", "eval/top1", "eval/loss", "system/node-0/cpu_utilization_percentage"):
        steps = [metric.step for metric in client.get_metric_history(run.info.run_id, key)]
        assert steps == sorted(set(steps)), key
    assert len(client.get_metric_history(run.info.run_id, "eval/top1")) == 8
    assert run.data.params["recipe.phases.0.lr"] == "0.001"
    assert {"run_key", "data_sha256", "git_commit", "code_version"} <= set(run.data.tags)
    assert "test/top1" in run.data.metrics
    pictures = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert "digits-confusion.png" in pictures


def test_the_model_in_mlflow_answers_as_the_evaluated_one(
    dvc_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(dvc_project.folder)
    mlflow.set_tracking_uri(f"sqlite:///{dvc_project.folder}/mlflow.db")
    (run,) = mlflow.search_runs(experiment_names=["wavemix"], output_format="list")
    model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert model.metadata.signature is not None
    blank = np.zeros((2, 8, 8, 3), np.uint8)
    answer = model.predict(blank)
    assert answer.shape == (2, 10)
    np.testing.assert_allclose(answer.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(answer[0], answer[1], rtol=1e-6)


def test_a_second_repro_does_nothing_and_quickly(dvc_project: Project) -> None:
    before = time.monotonic()
    said = dvc_project.run("dvc", "repro").stdout
    assert "up to date" in said
    assert time.monotonic() - before < 15  # a clock in a test is loose; the goal is 5 s


def test_metrics_and_plots_can_be_shown(dvc_project: Project, tmp_path: Path) -> None:
    assert "top1" in dvc_project.run("dvc", "metrics", "show").stdout
    dvc_project.run("dvc", "plots", "show", "--out", str(tmp_path / "plots"))
    assert (tmp_path / "plots" / "index.html").is_file()


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("wavemix/report/page.py", "MAX_CONFUSIONS: Final = 8", "MAX_CONFUSIONS: Final = 9", {"report"}),
        ("wavemix/launch/local.py", '"gloo"', "'gloo'", set()),
        ("wavemix/models/zoo/benchmarks.py", "MNIST", "Mnist", set()),
        ("params.yaml", "num_workers: 2", "num_workers: 1", set()),
        (
            "params.yaml",
            "eval_batch: 256",
            "eval_batch: 128",
            {"train@digits", "evaluate@digits"},
        ),
        (
            "wavemix/models/blocks.py",
            "nn.Dropout(dropout)",
            "nn.Dropout(dropout / 2)",
            {"train@digits", "evaluate@digits"},
        ),
        (
            "params.yaml",
            "samples_per_shard: 200",
            "samples_per_shard: 300",
            {"prepare@digits"},
        ),
    ],
)
def test_a_change_makes_stale_what_depends_on_it(
    dvc_project: Project, file: str, old: str, new: str, stale: set[str]
) -> None:
    change(dvc_project, file, old, new)
    try:
        assert stale_stages(dvc_project) == stale
    finally:
        change(dvc_project, file, new, old)


def test_bad_params_stop_a_stage_before_it_starts(dvc_project: Project) -> None:
    change(dvc_project, "params.yaml", "global_batch: 64", "global_batch: -1")
    try:
        said = dvc_project.run("dvc", "repro", fails=True)
        assert "experiments.digits.recipe.global_batch: found -1, allowed: greater than 0" in said.stderr
        assert "Traceback" not in said.stderr
    finally:
        change(dvc_project, "params.yaml", "global_batch: -1", "global_batch: 64")


def test_a_changed_report_is_the_only_thing_that_runs_again(dvc_project: Project) -> None:
    change(dvc_project, "wavemix/report/page.py", "MAX_CONFUSIONS: Final = 8", "MAX_CONFUSIONS: Final = 9")
    said = dvc_project.run("dvc", "repro").stdout
    assert re.findall(r"Running stage '([^']+)'", said) == ["report"]
