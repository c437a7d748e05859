"""A run's folder and its mirror: a real MLflow on a database in a file, and one that cannot be reached."""

import json
import logging
import socket
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from factories.runs import Folder, folder_in, history, runs_of
from wavemix.errors import StoppedError
from wavemix.tracking import JsonLines
from wavemix.tracking.background import mirrored
from wavemix.tracking.jsonl import append_row
from wavemix.tracking.mirror import Mirror

# MLflow and what it imports warn of their own affairs.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A run in an experiment of the test's own."""
    return folder_in(tmp_path, request.node.name)


def losses(uri: str, run: Folder) -> list[tuple[int, float]]:
    return history(uri, run.tracked.experiment, "train/loss")


def each_once(last: int) -> list[tuple[int, float]]:
    return [(step, step / 2) for step in range(1, last + 1)]


def test_a_run_shows_what_its_folder_holds_and_how_it_ended(uri: str, run: Folder) -> None:
    with mirrored(run.tracked, run.path, uri=uri) as complete:
        run.write([1, 2, 3])
    assert complete.is_set()
    (shown,) = runs_of(uri, run.tracked.experiment)
    ended = json.loads((run.path / "ended.json").read_text())
    assert (shown.info.status, shown.info.end_time) == (ended["status"], int(ended["time"] * 1000))
    assert shown.info.status == "FINISHED"
    assert shown.info.start_time <= shown.info.end_time
    assert set(shown.data.metrics) == {"train/loss"}  # what has no section is no curve
    assert losses(uri, run) == each_once(3)


def test_every_number_arrives_once_also_after_a_restart_that_repeats_rows(uri: str, run: Folder) -> None:
    with mirrored(run.tracked, run.path, uri=uri):
        run.write([1, 2, 3, 4])
    with mirrored(run.tracked, run.path, uri=uri):
        run.write([3, 4, 5, 6], last_step=2, began=2000.0)
    assert losses(uri, run) == each_once(6)


def test_a_mirror_that_looks_now_and_then_misses_no_row_of_a_file_that_is_cut_back(uri: str, run: Folder) -> None:
    mirror = Mirror(uri, run.tracked, run.path)
    run.write([1, 2, 3, 4, 5])
    mirror.send()
    run.write([3, 4], last_step=2)
    mirror.send()
    run.write([3, 4, 5, 6, 7], last_step=2)
    mirror.send()
    assert losses(uri, run) == each_once(7)
    assert mirror.sent["numbers"] == 7


def test_many_rows_are_sent_in_pieces(uri: str, run: Folder) -> None:
    run.write(range(1, 1202), **{"train/lr": 0.1})
    Mirror(uri, run.tracked, run.path).send()
    (shown,) = runs_of(uri, run.tracked.experiment)
    assert shown.info.start_time == 1_001_000  # when the first of them was written
    assert losses(uri, run) == each_once(1201)
    assert len(history(uri, run.tracked.experiment, "train/lr")) == 1201


@pytest.mark.parametrize("request_number", range(1, 12))
def test_a_request_whose_answer_was_lost_is_not_carried_out_twice(uri: str, run: Folder, request_number: int) -> None:
    """From the first question to the last rows: MLflow has done what was asked, and nobody here has heard of it."""
    run.write(range(1, 301), began=1000.0)
    lost = _Lost(request_number)
    mirror = Mirror(uri, run.tracked, run.path, answered=lost)
    with suppress(ConnectionError):
        mirror.send()
    assert lost.was_lost
    run.write(range(1, 301), began=5000.0)  # other times: for MLflow itself these would be other numbers
    mirror.send()
    assert losses(uri, run) == each_once(300)
    (shown,) = runs_of(uri, run.tracked.experiment)
    assert len(shown.data.params) == 5
    assert shown.data.tags["experiment"] == "digits"


class _Lost:
    """Raises once, in place of the answer to a request."""

    def __init__(self, request_number: int) -> None:
        self._left, self.was_lost = request_number, False

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.was_lost = True
            raise ConnectionError("the line went dead")


def test_rows_without_sections_and_damaged_lines_are_harmless(
    uri: str, run: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    with mirrored(run.tracked, run.path, uri=uri):
        run.write([1, 2])
        append_row(run.path / "faults.jsonl", {"step": 2, "time": 1.0, "rank": 0, "kind": "hang", "text": "a/b"})
        with (run.path / "metrics.jsonl").open("ab") as file:
            file.write(b"\0\0\0\n")
        JsonLines(run.path / "system-a.jsonl", last_step=0).write(
            {"step": 1, "time": 5.0, "system/a/x": 1.0, "cpus": 2}
        )
        run.write([3], last_step=2)
    (shown,) = runs_of(uri, run.tracked.experiment)
    assert set(shown.data.metrics) == {"train/loss", "system/a/x"}
    assert losses(uri, run) == each_once(3)
    assert "metrics.jsonl: left out a damaged line of 4 bytes" in caplog.text


def test_numbers_that_are_not_finite_are_dropped(uri: str, run: Folder) -> None:
    with mirrored(run.tracked, run.path, uri=uri):
        run.write([1], **{"eval/loss": float("nan"), "eval/top1": float("inf"), "eval/top5": 1.0})
    (shown,) = runs_of(uri, run.tracked.experiment)
    assert set(shown.data.metrics) == {"train/loss", "eval/top5"}


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError, "FAILED"), (KeyboardInterrupt, "KILLED"), (StoppedError, "KILLED")]
)
def test_an_exception_in_the_block_is_how_the_run_ended(
    uri: str, run: Folder, error: type[BaseException], status: str
) -> None:
    run = replace(run, tracked=replace(run.tracked, run_key=error.__name__))
    with pytest.raises(error, match="why"), mirrored(run.tracked, run.path, uri=uri):  # noqa: PT012
        run.write([1])
        raise error("why")
    (shown,) = [one for one in runs_of(uri, run.tracked.experiment) if one.data.tags["run_key"] == error.__name__]
    assert shown.info.status == status
    assert shown.data.metrics == {"train/loss": 0.5}


def test_what_a_run_used_is_sent_once_and_when_it_is_final(uri: str, run: Folder) -> None:
    def used(kwh: float) -> None:
        (run.path / "resources.json").write_text(json.dumps({"energy_kwh": kwh, "cost": None}))

    with pytest.raises(RuntimeError), mirrored(run.tracked, run.path, uri=uri):  # noqa: PT012
        run.write([1])
        used(0.5)
        raise RuntimeError
    (shown,) = runs_of(uri, run.tracked.experiment)
    assert "run/energy_kwh" not in shown.data.metrics
    for _ in range(2):
        with mirrored(run.tracked, run.path, uri=uri):
            used(0.75)
    (shown,) = runs_of(uri, run.tracked.experiment)
    assert {key for key in shown.data.metrics if key.startswith("run/")} == {"run/energy_kwh"}
    assert history(uri, run.tracked.experiment, "run/energy_kwh") == [(0, 0.75)]


def test_a_run_that_goes_on_is_shown_as_running(uri: str, run: Folder) -> None:
    for _ in range(2):
        with mirrored(run.tracked, run.path, uri=uri):
            until = time.monotonic() + 60
            while [shown.info.status for shown in runs_of(uri, run.tracked.experiment)] != ["RUNNING"]:
                assert time.monotonic() < until, "no run was shown as running"
                time.sleep(0.05)
        (shown,) = runs_of(uri, run.tracked.experiment)
        assert shown.info.status == "FINISHED"


def test_a_database_that_was_set_back_gets_everything(uri: str, tmp_path: Path, run: Folder) -> None:
    """A mirror does not trust its memory of what it has sent: here an older copy takes the database's place."""
    database = tmp_path / "mlflow.db"
    without = Path(uri.removeprefix("sqlite:///")).read_bytes()
    database.write_bytes(without)
    uri = f"sqlite:///{database}"
    mirror = Mirror(uri, run.tracked, run.path)
    run.write([1, 2, 3])
    mirror.send()
    database.write_bytes(without)
    run.write([4, 5], last_step=3)
    with pytest.raises(Exception, match="not found"):
        mirror.send()
    mirror.send()
    assert losses(uri, run) == each_once(5)


def test_an_unreachable_server_costs_two_warnings(run: Folder, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{nobody_listens.getsockname()[1]}"
        with caplog.at_level(logging.WARNING), mirrored(run.tracked, run.path, uri=uri) as complete:
            run.write([1])
    assert not complete.is_set()
    first, last = [record.getMessage() for record in caplog.records if record.name == "wavemix.tracking.background"]
    assert first.startswith(f"MLflow at {uri} cannot be reached, training goes on: ")
    assert last == f"MLflow at {uri} lacks a part of this run; `wavemix sync-tracking 0123abcd` sends it later"


def test_without_mlflow_the_block_just_runs_and_its_end_is_noted(run: Folder) -> None:
    with mirrored(run.tracked, run.path, uri=None) as complete:
        run.write([1])
    assert not complete.is_set()
    assert json.loads((run.path / "ended.json").read_text())["status"] == "FINISHED"
