"""What is kept of a run beside its numbers: who it is, how it ended, what it used; and in MLflow, if there is one.

It knows the run's folder and the section ``tracking``, and nothing of how a run is planned or trained.
"""

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wavemix.config import Tracking
from wavemix.errors import DataError
from wavemix.files import write_aside
from wavemix.launch.identity import PACKAGE
from wavemix.tracking.background import mirrored
from wavemix.tracking.mlflow import Tracked
from wavemix.tracking.models import ModelFiles
from wavemix.tracking.resources import resources_of, write_resources
from wavemix.training.serving import SERVED

log = logging.getLogger(__name__)


@contextmanager
def recorded(tracked: Tracked, run_dir: Path, settings: Tracking) -> Iterator[threading.Event]:
    """Keep ``run.json``, and the run in MLflow, while the block trains; and ``resources.json`` at its end.

    The event that it gives is set after the block, if MLflow has everything then.
    """
    write_aside(run_dir / "run.json", (json.dumps(_note(tracked), indent=1) + "\n").encode())
    with mirrored(tracked, run_dir, uri=settings.mlflow_uri) as complete:
        try:
            yield complete
        finally:
            _keep_resources(run_dir, settings)


def read_record(run_dir: Path) -> Tracked:
    """Who the run in a folder is.

    Raises:
        DataError: There is no whole ``run.json``.
    """
    path = run_dir / "run.json"
    try:
        return _tracked(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError):
        raise DataError(f"{path}: does not say who the run is; run the experiment again, and it will") from None


def model_files(folder: Path) -> ModelFiles:
    """What MLflow is to serve of a model that was exported to a folder."""
    info = json.loads((folder / "model.json").read_text())
    served = SERVED[info["task"]["name"]]
    answer = (served.answer_dtype, served.answer_shape(len(info["classes"])))
    return ModelFiles(PACKAGE / "pyfunc.py", PACKAGE, folder, served.channels, answer)


def _note(tracked: Tracked) -> dict[str, Any]:
    return {
        "experiment": tracked.tags["experiment"],
        "run_key": tracked.run_key,
        "config": tracked.params,
        "tracking": {
            "experiment": tracked.experiment,
            "name": tracked.name,
            "tags": tracked.tags,
            "parent": _note(tracked.parent) if tracked.parent else None,
        },
    }


def _tracked(note: Mapping[str, Any]) -> Tracked:
    told = note["tracking"]
    parent = _tracked(told["parent"]) if told["parent"] else None
    return Tracked(told["experiment"], note["run_key"], told["name"], told["tags"], note["config"], parent)


def _keep_resources(run_dir: Path, settings: Tracking) -> None:
    try:
        used = resources_of(
            run_dir, price_per_kwh=settings.price_per_kwh, price_per_node_hour=settings.price_per_node_hour
        )
        if used.num_nodes:
            write_resources(run_dir, used)
    except Exception as error:  # of files that others wrote: no reason to fail a training that has ended well
        log.warning("%s: what the run used is not known: %s: %s", run_dir, type(error).__name__, error)
        return
    if used.num_nodes and used.cost is None and settings.price_per_kwh is not None:
        log.warning("tracking.price_per_kwh: no node has a meter that can be read, nor tracking.cpu_watts: no cost")
