"""MLflow as a mirror of what a run wrote to its files. It can be late, or absent, and harms nothing.

The only place that imports mlflow besides ``wavemix.pyfunc``. It knows the run's folder and key, and no training.
"""

import logging
import math
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wavemix.errors import DataError
from wavemix.files import write_aside
from wavemix.tracking.jsonl import Follower, Row

# Set before the import: no telemetry, and an unreachable server must cost seconds, not MLflow's minutes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 2.0
RETRY_EVERY_SECONDS = 20.0
LARGEST_BATCH = 500  # metrics a request; the server refuses more than 1000
LARGEST_VALUE = 6000  # characters of a parameter


@dataclass(frozen=True)
class Tracked:
    """Who a run is to MLflow: found again by its key, so that a continued run is continued there too."""

    uri: str
    experiment: str
    run_key: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, Any]


@contextmanager
def mirrored(tracked: Tracked | None, run_dir: Path) -> Iterator[None]:
    """Copy every ``*.jsonl`` of the run's folder to MLflow in the background while the block runs.

    Trouble with the tracking server becomes a warning. The run's end in MLflow is that of the block.
    """
    if tracked is None:
        yield
        return
    mirror = _Mirror(tracked, run_dir)
    thread = threading.Thread(target=mirror.run, name="mlflow-mirror", daemon=True)
    thread.start()
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        mirror.stop.set()
        thread.join()
        mirror.finish(status)


class _Mirror:
    def __init__(self, tracked: Tracked, run_dir: Path) -> None:
        self.stop = threading.Event()
        self._tracked, self._run_dir = tracked, run_dir
        self._followers: dict[Path, Follower] = {}
        self._waiting: list[Row] = []  # read from the files, not yet in MLflow
        self._sent: dict[str, int] = {}  # last step in MLflow, by key
        self._run_id: str | None = None
        self._warned = False

    def run(self) -> None:
        pause = 0.0
        while not self.stop.wait(pause):
            pause = LOOK_EVERY_SECONDS if self._try(self._send) else RETRY_EVERY_SECONDS

    def finish(self, status: str) -> None:
        def send_and_end() -> None:
            self._send()
            _client(self._tracked.uri).set_terminated(self._run_id, status)

        if not self._try(send_and_end):
            log.warning("MLflow at %s lacks numbers of this run; they are in %s", self._tracked.uri, self._run_dir)

    def _try(self, action: Any) -> bool:
        try:
            action()
        except Exception as error:  # whatever a server, a network or a database may raise: never training's concern
            if not self._warned:
                uri = self._tracked.uri
                log.warning("MLflow at %s cannot be reached, training goes on: %s", uri, _first_line(error))
            self._warned = True
            return False
        return True

    def _send(self) -> None:
        client = _client(self._tracked.uri)
        if self._run_id is None:
            run_id = find_or_create_run(self._tracked)
            for key in client.get_run(run_id).data.metrics:
                self._sent[key] = max(metric.step for metric in client.get_metric_history(run_id, key))
            self._run_id = run_id  # only now: whatever fails above is asked again
        for path in sorted(self._run_dir.glob("*.jsonl")):
            self._waiting += self._followers.setdefault(path, Follower(path)).new_rows()
        while self._waiting:
            rows = self._waiting[: LARGEST_BATCH // 10]
            self._send_rows(client, rows)
            self._waiting = self._waiting[len(rows) :]

    def _send_rows(self, client: Any, rows: Sequence[Row]) -> None:
        from mlflow.entities import Metric  # noqa: PLC0415  (mlflow takes seconds to import)

        metrics = [
            Metric(key, float(value), int(row["time"] * 1000), row["step"])
            for row in rows
            for key, value in row.items()
            # A continued run repeats the steps after its last checkpoint; MLflow has them already.
            if "/" in key and row["step"] > self._sent.get(key, -1) and math.isfinite(value)
        ]
        for start in range(0, len(metrics), LARGEST_BATCH):
            client.log_batch(self._run_id, metrics=metrics[start : start + LARGEST_BATCH])
        self._sent.update({metric.key: metric.step for metric in metrics})


def find_or_create_run(tracked: Tracked) -> str:
    """The id of the MLflow run with this run key, created when there is none; running again in either case."""
    client = _client(tracked.uri)
    run_id = _find_run(client, tracked.experiment, tracked.run_key)
    if run_id:
        client.update_run(run_id, status="RUNNING")
        return run_id
    experiment = client.get_experiment_by_name(tracked.experiment)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(tracked.experiment)
    tags = {**tracked.tags, "run_key": tracked.run_key}
    created: str = client.create_run(experiment_id, run_name=tracked.name, tags=tags).info.run_id
    for key, value in _flat(tracked.params).items():
        client.log_param(created, key, str(value)[:LARGEST_VALUE])
    return created


def _find_run(client: Any, experiment: str, run_key: str) -> str | None:
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id], f"tags.run_key = '{run_key}'", max_results=1) if found else []
    return runs[0].info.run_id if runs else None


def add_results(uri: str, experiment: str, run_key: str, metrics: Mapping[str, float], files: Sequence[Path]) -> None:
    """Add final numbers and files to the run with this key; trouble, or its absence, becomes a warning."""
    try:
        client = _client(uri)
        run_id = _find_run(client, experiment, run_key)
        if run_id is None:
            log.warning("MLflow at %s has no run with the key %s; its results stay in their files", uri, run_key)
            return
        for key, value in metrics.items():
            client.log_metric(run_id, key, value)
        for path in files:
            client.log_artifact(run_id, str(path))
    except Exception as error:
        log.warning("MLflow at %s did not take the results: %s", uri, _first_line(error))


def sweep_parent(tracked: Tracked | None, sweep: str) -> str | None:
    """The id of the run that a sweep's trials hang below; None without tracking or when it cannot be had."""
    if tracked is None:
        return None
    try:
        return find_or_create_run(replace(tracked, name=sweep, run_key=f"sweep-{tracked.run_key}"))
    except Exception as error:
        log.warning("MLflow at %s cannot be reached, trials go on without it: %s", tracked.uri, _first_line(error))
        return None


def add_model(
    tracked: Tracked,
    *,
    code: Path,
    package: Path,
    folder: Path,
    channels: int,
    answer: tuple[type[np.generic], tuple[int, ...]],
) -> None:
    """Add a loadable model to the run, once; trouble becomes a warning.

    Args:
        tracked: The run.
        code: A file that calls ``mlflow.models.set_model``; code as text, so that nothing is pickled.
        package: The package that the code imports, kept with the model.
        folder: What the model reads when it is loaded, its artifact ``trained``.
        channels: Of the pictures that it takes.
        answer: Type and shape of what it gives; -1 stands for any size.
    """
    try:
        import mlflow  # noqa: PLC0415
        from mlflow.models import ModelSignature  # noqa: PLC0415
        from mlflow.types import Schema, TensorSpec  # noqa: PLC0415

        run_id = find_or_create_run(tracked)
        client = _client(tracked.uri)
        if not client.get_run(run_id).data.tags.get("model_logged"):
            signature = ModelSignature(
                inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, -1, -1, channels))]),
                outputs=Schema([TensorSpec(np.dtype(answer[0]), answer[1])]),
            )
            mlflow.set_tracking_uri(tracked.uri)
            with mlflow.start_run(run_id=run_id), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it asks for an input example beside the signature
                mlflow.pyfunc.log_model(
                    name="model",
                    python_model=str(code),
                    code_paths=[str(package)],
                    artifacts={"trained": str(folder)},
                    signature=signature,
                    pip_requirements=["torch", "numpy", "pydantic", "pyyaml", "pillow", "safetensors", "webdataset"],
                )
            client.set_tag(run_id, "model_logged", "true")
        client.set_terminated(run_id)
    except Exception as error:
        log.warning("MLflow at %s did not take the model: %s", tracked.uri, _first_line(error))


def fetch_weights(tracking_uri: str, uri: str, folder: Path) -> Path:
    """The safetensors file of a model that ``add_model`` added, kept in ``folder`` under the model's own id.

    Args:
        tracking_uri: The MLflow that has the model.
        uri: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION`` or ``runs:/RUN_ID/model``; where it leads is asked anew
            every time, and the model is downloaded once.
        folder: Of this machine, or one that every node shares.

    Raises:
        DataError: MLflow does not answer, has no such model, or one of another make.
    """
    import mlflow  # noqa: PLC0415
    from mlflow.artifacts import download_artifacts  # noqa: PLC0415
    from mlflow.models import get_model_info  # noqa: PLC0415

    client = _client(tracking_uri)
    mlflow.set_tracking_uri(tracking_uri)
    try:
        info = get_model_info(uri)
        kept = folder / f"{info.model_id}.safetensors"
        if not kept.exists():
            trained = info.flavors["python_function"]["artifacts"]["trained"]["path"]
            lies = client.get_logged_model(info.model_id).artifact_location
            with tempfile.TemporaryDirectory() as scratch:
                fetched = download_artifacts(artifact_uri=f"{lies}/{trained}/model.safetensors", dst_path=scratch)
                write_aside(kept, Path(fetched).read_bytes())
    except KeyError:
        raise DataError(f"weights.uri: {uri} in MLflow is no model that was trained here") from None
    except Exception as error:  # whatever a server, a network or a database may raise
        raise DataError(f"weights.uri: MLflow at {tracking_uri} has no {uri}: {_first_line(error)}") from None
    return kept


def _client(uri: str) -> Any:
    from mlflow import MlflowClient  # noqa: PLC0415

    # A new database tells every one of its migrations, and a refused connection every one of its tries.
    for name, level in (("alembic", "WARNING"), ("mlflow.store.db.utils", "WARNING"), ("urllib3", "ERROR")):
        logging.getLogger(name).setLevel(level)
    return MlflowClient(tracking_uri=uri)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


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
