"""Runs in MLflow: a real one on a database in a file."""

import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from factories.runs import folder_in, history, runs_of
from wavemix.tracking.mlflow import Tracked, add_results, connect, find_or_create_run, find_run

# MLflow and what it imports warn of their own affairs.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def tracked(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tracked:
    """A run in an experiment of the test's own; MLflow puts artifacts beside the folder that it runs in."""
    monkeypatch.chdir(tmp_path)
    return folder_in(tmp_path, request.node.name).tracked


@pytest.fixture
def unreachable() -> Iterator[str]:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{nobody_listens.getsockname()[1]}"


def test_a_run_is_made_once_for_a_key_and_found_again(uri: str, tracked: Tracked) -> None:
    sent: Counter[str] = Counter()
    made = find_or_create_run(connect(uri), tracked, began=1000.5, sent=sent)
    assert sent == {"runs": 1, "tags": 1, "parameters": 5}
    assert find_or_create_run(connect(uri), tracked, sent=sent).id == made.id
    assert sent["runs"] == 1
    (run,) = runs_of(uri, tracked.experiment)
    assert run.info.run_name == "digits-0123ab"
    assert run.info.start_time == 1_000_500
    assert run.data.tags["run_key"] == "0123abcd"
    assert run.data.tags["experiment"] == "digits"
    assert run.data.params == {
        "seed": "0",
        "recipe.global_batch": "64",
        "recipe.phases.0.lr": "0.1",
        "recipe.phases.1.lr": "0.2",
        "recipe.betas": "[0.9, 0.99]",
    }


def test_what_a_lost_server_did_not_take_is_added_and_nothing_is_changed(uri: str, tracked: Tracked) -> None:
    """As after a server that went away between the run's creation and its last parameter."""
    part = replace(tracked, tags={"experiment": "old"}, params={"seed": 0})
    find_or_create_run(connect(uri), part)
    sent: Counter[str] = Counter()
    whole = replace(tracked, tags={"experiment": "digits", "git_commit": "0123"}, params={**tracked.params, "seed": 1})
    find_or_create_run(connect(uri), whole, sent=sent)
    assert sent == {"tags": 1, "parameters": 4}
    (run,) = runs_of(uri, tracked.experiment)
    assert (run.data.tags["experiment"], run.data.tags["git_commit"]) == ("old", "0123")
    assert (run.data.params["seed"], run.data.params["recipe.global_batch"]) == ("0", "64")


def test_more_parameters_than_a_request_may_have(uri: str, tracked: Tracked) -> None:
    many = {f"p{number}": "x" * 7000 if number == 0 else number for number in range(230)}
    find_or_create_run(connect(uri), replace(tracked, params=many))
    (run,) = runs_of(uri, tracked.experiment)
    assert len(run.data.params) == 230
    assert run.data.params["p229"] == "229"
    assert len(run.data.params["p0"]) == 6000


def test_of_two_runs_with_a_key_the_one_with_numbers_stays(uri: str, tracked: Tracked) -> None:
    """A request whose answer was lost may be carried out after it was made again."""
    client = connect(uri)
    kept = find_or_create_run(client, tracked, began=2000.0)
    client.log_metric(kept.id, "train/loss", 0.5, step=1)
    client.create_run(
        client.get_experiment_by_name(tracked.experiment).experiment_id, 1_000_000, {"run_key": tracked.run_key}
    )
    assert len(runs_of(uri, tracked.experiment)) == 2
    found = find_run(client, tracked.experiment, tracked.run_key)
    assert found is not None
    assert (found.id, dict(found.last_steps)) == (kept.id, {"train/loss": 1})
    assert [run.info.run_id for run in runs_of(uri, tracked.experiment)] == [kept.id]


def test_a_trial_hangs_below_its_sweep_which_is_made_with_it(uri: str, tracked: Tracked) -> None:
    parent = replace(tracked, name="sweep", run_key="sweep-0123")
    ids = {
        find_or_create_run(connect(uri), replace(tracked, run_key=key, parent=parent)).tags["run_key"]
        for key in ("a", "b")
    }
    assert ids == {"a", "b"}
    runs = {run.data.tags["run_key"]: run for run in runs_of(uri, tracked.experiment)}
    assert set(runs) == {"a", "b", "sweep-0123"}
    for key in ("a", "b"):
        assert runs[key].data.tags["mlflow.parentRunId"] == runs["sweep-0123"].info.run_id


def test_results_are_added_to_the_run_with_this_key_once(
    uri: str, tracked: Tracked, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture = tmp_path / "curves.png"
    picture.write_bytes(b"png")
    run_id = find_or_create_run(connect(uri), tracked).id
    for _ in range(2):
        add_results(uri, tracked.experiment, tracked.run_key, {"test/top1": 0.9, "test/loss": 0.1}, [picture])
    add_results(uri, tracked.experiment, "another key", {"test/top1": 0.1}, [])
    assert "has no run with the key another key" in caplog.text
    assert history(uri, tracked.experiment, "test/top1") == [(0, 0.9)]
    assert [item.path for item in connect(uri).list_artifacts(run_id)] == ["curves.png"]


def test_results_that_an_unreachable_server_does_not_take_are_a_warning(
    unreachable: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_results(unreachable, "e", "key", {"test/top1": 0.9}, [])
    (told,) = [record for record in caplog.records if record.name.startswith("wavemix")]
    assert told.levelname == "WARNING"
    assert f"MLflow at {unreachable} did not take the results" in told.getMessage()
