"""A real run that MLflow heard nothing of, sent to it later; and who a run is, from its folder."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from factories.runs import runs_of
from wavemix.cli import main
from wavemix.config import Params
from wavemix.errors import ConfigError, DataError, WaveMixError
from wavemix.files import write_aside
from wavemix.launch.experiment import train_experiment
from wavemix.launch.plan import plan, tracked_run
from wavemix.launch.record import read_record, recorded
from wavemix.launch.resync import sync_tracking

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow and what it imports warn of their own affairs


@pytest.fixture
def away() -> Any:
    """The address of a server that is not there."""
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{nobody_listens.getsockname()[1]}"


def at(params: Params, uri: str | None, **tracking: Any) -> Params:
    """The same with an MLflow elsewhere."""
    return params.model_copy(update={"tracking": params.tracking.model_copy(update={"mlflow_uri": uri, **tracking})})


@pytest.mark.slow
def test_a_run_that_mlflow_heard_nothing_of_is_sent_later_with_model_and_scores(
    params_of: Any, away: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)  # MLflow puts artifacts beside the folder that it runs in
    params = at(params_of(), away, price_per_node_hour=2.5)
    train_experiment(params, "shades")
    (folder,) = (tmp_path / "runs").glob("*")
    assert f"`wavemix sync-tracking {folder.name}` sends it later" in caplog.text
    used = json.loads((folder / "resources.json").read_text())
    assert used["cost"] == pytest.approx(2.5 * used["node_hours"])
    assert used["cost"] > 0
    scores = {"metrics": {"top1": 0.75}}
    write_aside(tmp_path / "results/experiments/shades/evaluation/metrics.json", json.dumps(scores).encode())

    with pytest.raises(WaveMixError, match=f"MLflow at {away} does not take shades-{folder.name[:6]}: ") as raised:
        list(sync_tracking(params, "shades"))
    assert len(str(raised.value).splitlines()) == 1

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    (told,) = sync_tracking(at(params, uri), "shades")
    assert told.startswith(f"shades-{folder.name[:6]} ({folder.name}): sent runs: 1, ")
    for what in ("tags: ", "parameters: ", "numbers: ", "end: 1", "the model", "test scores: 1"):
        assert what in told
    for name in (str(folder), folder.name[:4], folder.name, "shades"):
        assert list(sync_tracking(at(params, uri), name)) == [
            f"shades-{folder.name[:6]} ({folder.name}): nothing was missing"
        ]

    (run,) = runs_of(uri, "wavemix")
    assert run.info.status == "FINISHED"
    assert run.data.params["task.name"] == "classification"
    assert run.data.tags["run_key"] == folder.name
    assert {"train/loss", "eval/top1", "test/top1", "run/cost", "run/node_hours"} <= set(run.data.metrics)


def test_who_a_trial_is_stands_in_its_folder(params_of: Any) -> None:
    params = params_of()
    planned = plan(params, "shades", params.experiments["shades"])
    parent = tracked_run(planned, params)
    tracked = tracked_run(planned, params, parent=parent)
    with recorded(tracked, planned.run_dir, params.tracking):
        assert read_record(planned.run_dir) == tracked
    assert json.loads((planned.run_dir / "ended.json").read_text())["status"] == "FINISHED"


def test_a_price_without_a_meter_is_told(params_of: Any, caplog: pytest.LogCaptureFixture) -> None:
    params = at(params_of(), None, price_per_kwh=0.5)
    planned = plan(params, "shades", params.experiments["shades"])
    row = {"step": 1, "time": 1.0, "seconds": 5.0, "cpus": 1, "gpus": 0}
    named = {f"network_{way}_megabytes": 0.0 for way in ("receive", "transmit")} | {"cpu_utilization_percentage": 50.0}
    with recorded(tracked_run(planned, params), planned.run_dir, params.tracking):
        row.update({f"system/a/{name}": value for name, value in named.items()})
        (planned.run_dir / "system-a.jsonl").write_text(json.dumps(row) + "\n")
    assert "tracking.price_per_kwh: no node has a meter that can be read" in caplog.text
    assert json.loads((planned.run_dir / "resources.json").read_text())["cost"] is None


def test_rows_that_cannot_be_added_up_fail_no_training(params_of: Any, caplog: pytest.LogCaptureFixture) -> None:
    params = params_of()
    planned = plan(params, "shades", params.experiments["shades"])
    with recorded(tracked_run(planned, params), planned.run_dir, params.tracking):
        (planned.run_dir / "system-a.jsonl").write_text('{"step": 1}\n')
    assert f"{planned.run_dir}: what the run used is not known" in caplog.text


@pytest.fixture
def two_runs(params_of: Any, tmp_path: Path) -> Params:
    params: Params = at(params_of(), "http://127.0.0.1:9")
    for key in ("0123aaaa", "0123bbbb"):
        write_aside(tmp_path / "runs" / key / "run.json", json.dumps({"experiment": "shades", "run_key": key}).encode())
    return params


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("0123", r"'0123' is the beginning of 2 run keys: 0123aaaa, 0123bbbb"),
        ("mnist", r"'mnist' is no experiment, run key or folder of a run; .*runs has shades"),
        ("0123a", r"run\.json: does not say who the run is; run the experiment again, and it will"),
    ],
)
def test_a_run_that_is_not_there_is_one_clear_error(two_runs: Params, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        list(sync_tracking(two_runs, name))
    assert len(str(raised.value).splitlines()) == 1


def test_without_mlflow_there_is_nowhere_to_send_to(two_runs: Params) -> None:
    with pytest.raises(ConfigError, match=r"tracking\.mlflow_uri is null; name an MLflow by --set"):
        list(sync_tracking(at(two_runs, None), "0123a"))


def test_the_command_says_what_is_wrong_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = str(Path(__file__).parents[2] / "params.yaml")
    command = ["wavemix", "--params", shipped, "--set", f"storage.runs={tmp_path}", "sync-tracking", "mnist"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == f"error: 'mnist' is no experiment, run key or folder of a run; {tmp_path} has no run"
