"""MLflow as a mirror: a real one on a database in a file, and one that cannot be reached."""

import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wavemix.tracking import JsonLines
from wavemix.tracking.mlflow import Tracked, _client, add_results, find_or_create_run, mirrored, sweep_parent

# MLflow and what it imports warn of their own affairs.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="session")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for all: its migrations take seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def tracked(uri: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tracked:
    """A run in an experiment of the test's own; MLflow puts artifacts beside the folder that it runs in."""
    monkeypatch.chdir(tmp_path)
    params = {"seed": 0, "recipe": {"global_batch": 64, "phases": [{"lr": 0.1}, {"lr": 0.2}], "betas": [0.9, 0.99]}}
    return Tracked(uri, request.node.name, "0123abcd", "digits-0123ab", {"experiment": "digits"}, params)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "run"


def runs_of(tracked: Tracked) -> list[Any]:
    client = _client(tracked.uri)
    experiment = client.get_experiment_by_name(tracked.experiment)
    return list(client.search_runs([experiment.experiment_id]))


def history(tracked: Tracked, key: str) -> list[tuple[int, float]]:
    (run,) = runs_of(tracked)
    found = _client(tracked.uri).get_metric_history(run.info.run_id, key)
    return sorted((metric.step, metric.value) for metric in found)


def write(run_dir: Path, steps: list[int], *, last_step: int = 0, began: float = 1000.0, **more: float) -> None:
    lines = JsonLines(run_dir / "metrics.jsonl", last_step=last_step)
    for step in steps:
        lines.write({"step": step, "time": began + step, "epoch": 1.0, "train/loss": step / 2, **more})


def test_a_run_is_created_once_for_a_key_and_found_again(tracked: Tracked, run_dir: Path) -> None:
    for _ in range(2):
        with mirrored(tracked, run_dir):
            (run,) = runs_of(tracked) if find_or_create_run(tracked) else []
            assert run.info.status == "RUNNING"
    (run,) = runs_of(tracked)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "digits-0123ab"
    assert run.data.tags["run_key"] == "0123abcd"
    assert run.data.tags["experiment"] == "digits"
    assert run.data.params == {
        "seed": "0",
        "recipe.global_batch": "64",
        "recipe.phases.0.lr": "0.1",
        "recipe.phases.1.lr": "0.2",
        "recipe.betas": "[0.9, 0.99]",
    }


def test_every_metric_arrives_once_also_after_a_restart_that_repeats_rows(tracked: Tracked, run_dir: Path) -> None:
    with mirrored(tracked, run_dir):
        write(run_dir, [1, 2, 3, 4])
    with mirrored(tracked, run_dir):
        write(run_dir, [3, 4, 5, 6], last_step=2, began=2000.0)
    assert history(tracked, "train/loss") == [(step, step / 2) for step in range(1, 7)]
    (run,) = runs_of(tracked)
    assert set(run.data.metrics) == {"train/loss"}  # what has no section is no curve


def test_numbers_that_are_not_finite_are_dropped(tracked: Tracked, run_dir: Path) -> None:
    with mirrored(tracked, run_dir):
        write(run_dir, [1], **{"eval/loss": float("nan"), "eval/top1": float("inf"), "eval/top5": 1.0})
    (run,) = runs_of(tracked)
    assert set(run.data.metrics) == {"train/loss", "eval/top5"}


def test_an_exception_in_the_block_makes_the_run_failed(tracked: Tracked, run_dir: Path) -> None:
    with pytest.raises(RuntimeError, match="diverged"), mirrored(tracked, run_dir):  # noqa: PT012
        write(run_dir, [1])
        raise RuntimeError("diverged")
    (run,) = runs_of(tracked)
    assert run.info.status == "FAILED"
    assert history(tracked, "train/loss") == [(1, 0.5)]


def test_results_are_added_to_the_run_with_this_key(
    tracked: Tracked, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture = tmp_path / "curves.png"
    picture.write_bytes(b"png")
    run_id = find_or_create_run(tracked)
    add_results(tracked.uri, tracked.experiment, tracked.run_key, {"test/top1": 0.9}, [picture])
    add_results(tracked.uri, tracked.experiment, "another key", {"test/top1": 0.1}, [])
    assert "has no run with the key another key" in caplog.text
    (run,) = runs_of(tracked)
    assert run.data.metrics == {"test/top1": 0.9}
    assert [item.path for item in _client(tracked.uri).list_artifacts(run_id)] == ["curves.png"]


@pytest.fixture
def unreachable(tracked: Tracked) -> Tracked:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return Tracked(f"http://127.0.0.1:{port}", "e", "key", "name", {}, tracked.params)


@pytest.mark.parametrize(
    "use",
    [
        lambda tracked: add_results(tracked.uri, "e", "key", {"test/top1": 0.9}, []),
        lambda tracked: sweep_parent(tracked, "sweep"),
    ],
    ids=["results", "sweep"],
)
def test_results_and_sweeps_of_an_unreachable_server_are_a_warning(
    unreachable: Tracked, use: Callable[[Tracked], object], caplog: pytest.LogCaptureFixture
) -> None:
    assert use(unreachable) is None
    assert [record.levelname for record in caplog.records if record.name.startswith("wavemix")] == ["WARNING"]


def test_an_unreachable_server_costs_a_warning_and_seconds(
    unreachable: Tracked, run_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    started, ran = time.monotonic(), False
    with caplog.at_level(logging.WARNING), mirrored(unreachable, run_dir):
        write(run_dir, [1])
        ran = True
    assert ran
    assert time.monotonic() - started < 20
    messages = [record.getMessage() for record in caplog.records if record.name == "wavemix.tracking.mlflow"]
    assert len(messages) == 2
    assert messages[0].startswith(f"MLflow at {unreachable.uri} cannot be reached, training goes on: ")
    assert messages[1] == f"MLflow at {unreachable.uri} lacks numbers of this run; they are in {run_dir}"


def test_without_tracking_the_block_just_runs(run_dir: Path) -> None:
    with mirrored(None, run_dir):
        write(run_dir, [1])
    assert sweep_parent(None, "sweep") is None
