"""The mirror and a real MLflow server, which comes late, hangs, dies and comes back while rows are written."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factories.runs import Folder, folder_in, history, runs_of
from factories.servers import MlflowServer
from wavemix.tracking import background
from wavemix.tracking.background import mirrored
from wavemix.tracking.mirror import Mirror

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),  # a server takes 10 to 30 seconds to start, and more on a busy machine
    pytest.mark.filterwarnings("ignore"),  # MLflow and what it imports warn of their own affairs
]


class Once:
    """The server that the tests share; each starts it where it needs it."""

    def __init__(self, server: MlflowServer) -> None:
        self.server, self.uri, self.database = server, server.uri, server.database
        self._is_up = False

    def up(self) -> None:
        if not self._is_up:
            self.server.start()
            self.server.wait()
        self._is_up = True

    def down(self) -> None:
        self.server.kill()
        self._is_up = False


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Once]:
    once = Once(MlflowServer(tmp_path_factory.mktemp("server")))
    yield once
    once.down()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look and try again sooner than in earnest; and leave no mirror behind that was given up."""
    monkeypatch.setattr(background, "LOOK_EVERY_SECONDS", 0.2)
    monkeypatch.setattr(background, "RETRY_EVERY_SECONDS", 0.5)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    yield
    for thread in threading.enumerate():
        if thread.name == "mlflow-mirror":
            thread.join(60)


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return folder_in(tmp_path, request.node.name)


def wait_until(what: str, is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 150
    while not is_so():
        assert time.monotonic() < until, f"it never came to this: {what}"
        time.sleep(0.2)


def shown(once: Once, run: Folder) -> list[tuple[int, float]]:
    """What the server's database holds of the curve; nothing before there is a run."""
    name = run.tracked.experiment
    return history(once.database, name, "train/loss") if runs_of(once.database, name) else []


def each_once(last: int) -> list[tuple[int, float]]:
    return [(step, step / 2) for step in range(1, last + 1)]


def assert_whole(once: Once, run: Folder, last: int) -> None:
    assert shown(once, run) == each_once(last)
    (found,) = runs_of(once.database, run.tracked.experiment)
    assert found.info.status == "FINISHED"
    assert len(found.data.params) == 5
    assert found.data.tags["experiment"] == "digits"


def test_a_server_that_comes_up_late_gets_everything(once: Once, run: Folder, caplog: pytest.LogCaptureFixture) -> None:
    once.down()
    with caplog.at_level(logging.WARNING), mirrored(run.tracked, run.path, uri=once.uri) as complete:
        run.write([1, 2, 3])
        wait_until("the mirror has tried", lambda: "cannot be reached, training goes on" in caplog.text)
        once.up()
        run.write([3, 4, 5], last_step=2)  # meanwhile the worker was started again
        wait_until("all is there", lambda: shown(once, run) == each_once(5))
    assert complete.is_set()
    assert "answers again, and has every number so far" in caplog.text
    assert_whole(once, run, 5)


def test_a_server_that_hangs_stops_nobody_and_gets_everything_once(
    once: Once, run: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    once.up()
    with caplog.at_level(logging.WARNING), mirrored(run.tracked, run.path, uri=once.uri) as complete:
        run.write([1, 2, 3])
        wait_until("the first rows are there", lambda: shown(once, run) == each_once(3))
        with once.server.held():
            run.write([4, 5, 6, 7], last_step=3)
            wait_until("a request has timed out", lambda: "cannot be reached, training goes on" in caplog.text)
            run.write([6, 7, 8], last_step=5)
        run.write([9], last_step=8)
        wait_until("all is there", lambda: shown(once, run) == each_once(9))
    assert complete.is_set()
    assert_whole(once, run, 9)


def test_a_run_ends_while_the_server_hangs_and_is_sent_later(
    once: Once, run: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    once.up()
    with once.server.held():
        with mirrored(run.tracked, run.path, uri=once.uri) as complete:
            run.write(range(1, 301))
        assert not complete.is_set()  # and here it goes on, while nobody answers
    assert "`wavemix sync-tracking 0123abcd` sends it later" in caplog.text
    for thread in threading.enumerate():  # what was given up may still be under way
        if thread.name == "mlflow-mirror":
            thread.join(60)
    Mirror(once.uri, run.tracked, run.path).send()
    assert_whole(once, run, 300)
    again = Mirror(once.uri, run.tracked, run.path)
    again.send()
    assert not again.sent


def test_a_server_killed_and_started_again_gets_everything_also_of_a_run_that_ended_meanwhile(
    once: Once, run: Folder, tmp_path: Path
) -> None:
    once.up()
    other = folder_in(tmp_path / "other", f"{run.tracked.experiment}-other")
    with mirrored(run.tracked, run.path, uri=once.uri) as complete:
        run.write([1, 2, 3])
        wait_until("the first rows are there", lambda: shown(once, run) == each_once(3))
        once.down()
        run.write([4, 5, 6], last_step=3)
        with mirrored(other.tracked, other.path, uri=once.uri) as of_other:
            other.write([1, 2])
        assert not of_other.is_set()
        once.up()
        run.write([7], last_step=6)
        wait_until("all is there", lambda: shown(once, run) == each_once(7))
    assert complete.is_set()
    assert_whole(once, run, 7)
    Mirror(once.uri, other.tracked, other.path).send()
    assert_whole(once, other, 2)
