"""Runs in MLflow: found by their key, made where there is none, filled up with what they lack.

It decides what a run is to MLflow, and knows no folder of a run and no training. All of it may raise whatever a server,
a network or a database raises, except where it says that trouble becomes a warning.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavemix.errors import first_line

# Set before the import: no telemetry; and a server that does not answer costs seconds, not MLflow's minutes. Nothing is
# sent twice blindly: what failed may have been carried out, so it is asked what is there before it is sent again.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

log = logging.getLogger(__name__)

MOST_METRICS = 200  # of a request: a busy server must have done it before the request times out
MOST_PARAMS = 100
LARGEST_VALUE = 6000  # characters of a parameter
PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class Tracked:
    """Who a run is to MLflow: found again by its key, so that a continued run is continued there too."""

    experiment: str
    run_key: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, Any]
    parent: "Tracked | None" = None


@dataclass(frozen=True)
class Number:
    """A value of a curve; ``time`` in seconds since 1970."""

    key: str
    value: float
    time: float
    step: int


@dataclass(frozen=True)
class Run:
    """A run as MLflow has it."""

    id: str
    status: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    last_steps: Mapping[str, int]
    values: Mapping[str, float]


def load_mlflow() -> None:
    """Import it, which takes seconds in which nobody is asked anything."""
    import mlflow  # noqa: F401, PLC0415


def connect(uri: str, *, answered: Callable[[], None] = lambda: None) -> Any:
    """A client of the MLflow there, which calls ``answered`` after each request that was."""
    from mlflow import MlflowClient  # noqa: PLC0415

    # A new database tells every one of its migrations, and a refused connection every one of its tries.
    for name, level in (("alembic", "WARNING"), ("mlflow.store.db.utils", "WARNING"), ("urllib3", "ERROR")):
        logging.getLogger(name).setLevel(level)
    return _Told(MlflowClient(tracking_uri=uri), answered)


class _Told:
    def __init__(self, client: Any, answered: Callable[[], None]) -> None:
        self._client, self._answered = client, answered

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def asked(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            self._answered()
            return answer

        return asked


def find_run(client: Any, experiment: str, run_key: str) -> Run | None:
    """The run with this key.

    A request to make it whose answer was lost may have been carried out late, so that there are two: then the one that
    has numbers counts, else the older one, and those without numbers are deleted.
    """
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    by_age = ["attributes.start_time ASC"]
    runs = client.search_runs([found.experiment_id], f"tags.run_key = '{run_key}'", order_by=by_age)
    if not runs:
        return None
    first = min(runs, key=lambda run: not run.data.metrics)
    for other in runs:
        if other is not first and not other.data.metrics:
            client.delete_run(other.info.run_id)
    data = first.data
    steps = {metric.key: metric.step for metric in data.to_proto().metrics}
    return Run(first.info.run_id, first.info.status, data.tags, data.params, steps, data.metrics)


def find_or_create_run(
    client: Any, tracked: Tracked, *, began: float | None = None, sent: Counter[str] | None = None
) -> Run:
    """The run with this key, made where there is none, after what it lacks of its parent, tags and parameters is added.

    Args:
        client: See ``connect``.
        tracked: Who the run is.
        began: When, in seconds since 1970, if it has to be made; None is now.
        sent: Counts what is added, by kind.
    """
    sent = Counter() if sent is None else sent
    links = {PARENT: find_or_create_run(client, tracked.parent, began=began, sent=sent).id} if tracked.parent else {}
    run = find_run(client, tracked.experiment, tracked.run_key)
    if run is None:
        client.create_run(
            _experiment_id(client, tracked.experiment),
            start_time=None if began is None else int(began * 1000),
            tags={"run_key": tracked.run_key},  # so that it is found again, whatever becomes of the rest
            run_name=tracked.name,
        )
        sent["runs"] += 1
        run = find_run(client, tracked.experiment, tracked.run_key)
        assert run is not None
    _fill(client, run, {**tracked.tags, **links}, _flat(tracked.params), sent)
    return run


def _experiment_id(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    try:
        return str(found.experiment_id if found else client.create_experiment(name))
    except Exception:  # another trial of the sweep may have made it just now
        if (found := client.get_experiment_by_name(name)) is None:
            raise
        return str(found.experiment_id)


def _fill(client: Any, run: Run, tags: Mapping[str, str], params: Mapping[str, Any], sent: Counter[str]) -> None:
    from mlflow.entities import Param, RunTag  # noqa: PLC0415

    new_tags = [RunTag(key, value) for key, value in tags.items() if key not in run.tags]
    if new_tags:
        client.log_batch(run.id, tags=new_tags)
        sent["tags"] += len(new_tags)
    missing = [Param(key, str(value)[:LARGEST_VALUE]) for key, value in params.items() if key not in run.params]
    for start in range(0, len(missing), MOST_PARAMS):
        some = missing[start : start + MOST_PARAMS]
        client.log_batch(run.id, params=some)
        sent["parameters"] += len(some)


def log_numbers(client: Any, run_id: str, numbers: Sequence[Number]) -> None:
    """Send up to ``MOST_METRICS`` values in a request; one that MLflow has, with its time, it does not take twice."""
    from mlflow.entities import Metric  # noqa: PLC0415

    metrics = [Metric(one.key, float(one.value), int(one.time * 1000), one.step) for one in numbers]
    client.log_batch(run_id, metrics=metrics)


def add_results(uri: str, experiment: str, run_key: str, metrics: Mapping[str, float], files: Sequence[Path]) -> None:
    """Add final numbers and files to the run with this key; trouble, or its absence, becomes a warning."""
    try:
        client = connect(uri)
        run = find_run(client, experiment, run_key)
        if run is None:
            log.warning("MLflow at %s has no run with the key %s; its results stay in their files", uri, run_key)
            return
        log_results(client, run, metrics)
        for path in files:
            client.log_artifact(run.id, str(path))
    except Exception as error:
        log.warning("MLflow at %s did not take the results: %s", uri, first_line(error))


def log_results(client: Any, run: Run, metrics: Mapping[str, float]) -> int:
    """Add those of the final numbers that the run does not show yet, and say how many they were."""
    new = {key: value for key, value in metrics.items() if run.values.get(key) != value}
    log_numbers(client, run.id, [Number(key, value, time.time(), 0) for key, value in new.items()])
    return len(new)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        inner = (
            dict(enumerate(value))
            if isinstance(value, list | tuple) and any(isinstance(v, dict) for v in value)
            else value
        )
        flat.update(_flat(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {f"{prefix}{key}": inner})
    return flat
