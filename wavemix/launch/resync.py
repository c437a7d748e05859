"""Runs sent to MLflow after they ended: what it lacks of them, because it was away or did not answer.

It knows where runs and results lie, and leaves what is sent to ``wavemix.tracking``.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from wavemix.config import Params
from wavemix.errors import ConfigError, DataError, WaveMixError, first_line
from wavemix.launch.progress import so_far
from wavemix.launch.record import model_files, read_record
from wavemix.tracking.mirror import Mirror
from wavemix.tracking.mlflow import Tracked, connect, find_or_create_run, log_results
from wavemix.tracking.models import log_model


def sync_tracking(params: Params, run: str) -> Iterator[str]:
    """Send what MLflow lacks of a run, and yield a line for each that says what it was.

    Args:
        params: Where MLflow, runs and results are.
        run: A run's folder, an experiment or sweep (all its runs), or a run key or the beginning of one.

    Raises:
        ConfigError: There is no MLflow to send to.
        DataError: There is no such run.
        WaveMixError: MLflow does not take it; what it took so far is not sent again.
    """
    uri = params.tracking.mlflow_uri
    if uri is None:
        raise ConfigError("tracking.mlflow_uri is null; name an MLflow by --set tracking.mlflow_uri=http://HOST:5000")
    for folder in _find_runs(Path(params.storage.runs), run):
        tracked = read_record(folder)
        try:
            sent = _send(uri, tracked, folder, Path(params.storage.results))
        except Exception as error:  # whatever a server, a network or a database may raise
            raise WaveMixError(f"MLflow at {uri} does not take {tracked.name}: {first_line(error)}") from None
        yield f"{tracked.name} ({tracked.run_key}): {'sent ' + ', '.join(sent) if sent else 'nothing was missing'}"


def _find_runs(runs: Path, run: str) -> list[Path]:
    if (Path(run) / "run.json").is_file():
        return [Path(run)]
    notes = [*sorted(runs.glob("tune/*/run.json")), *sorted(runs.glob("*/run.json"))]  # a sweep before its trials
    names = {path.parent: json.loads(path.read_text())["experiment"] for path in notes}
    if found := [folder for folder, name in names.items() if name == run]:
        return found
    found = [folder for folder in names if folder.name.startswith(run)]
    if len(found) > 1:
        raise DataError(f"{run!r} is the beginning of {len(found)} run keys: {', '.join(one.name for one in found)}")
    if not found:
        known = ", ".join(dict.fromkeys(names.values())) or "no run"
        raise DataError(f"{run!r} is no experiment, run key or folder of a run; {runs} has {known}")
    return found


def _send(uri: str, tracked: Tracked, folder: Path, results: Path) -> list[str]:
    with so_far("sync-tracking") as told:
        mirror = Mirror(uri, tracked, folder, answered=lambda: told("numbers sent", mirror.sent["numbers"]))
        mirror.send()
    sent = [f"{kind}: {count}" for kind, count in mirror.sent.items()]
    exported = results / "experiments" / tracked.tags["experiment"]
    model = exported / "train" / "model.json"
    if not model.exists() or json.loads(model.read_text())["run_key"] != tracked.run_key:
        return sent
    client = connect(uri)
    if log_model(uri, client, tracked, model_files(model.parent)):
        sent.append("the model")
    scores = exported / "evaluation" / "metrics.json"
    if scores.exists():
        tested = {f"test/{name}": value for name, value in json.loads(scores.read_text())["metrics"].items()}
        if count := log_results(client, find_or_create_run(client, tracked), tested):
            sent.append(f"test scores: {count}")
    return sent
