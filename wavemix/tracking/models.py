"""Models in MLflow: added to a run so that they can be loaded and served, and their weights fetched again.

It decides what a model in MLflow consists of, and knows no network and no task.
"""

import logging
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wavemix.errors import DataError, first_line
from wavemix.files import write_aside
from wavemix.tracking.mlflow import Tracked, connect, find_or_create_run

log = logging.getLogger(__name__)

LOGGED = "model_logged"
"""The tag of a run that has its model."""


@dataclass(frozen=True)
class ModelFiles:
    """A trained model as MLflow is to serve it.

    ``code``: a file that calls ``mlflow.models.set_model``; code as text, so that nothing is pickled.
    ``package``: the package that the code imports, kept with the model.
    ``folder``: what the model reads when it is loaded, its artifact ``trained``.
    ``channels``: of the pictures that it takes. ``answer``: type and shape of what it gives; -1 stands for any size.
    """

    code: Path
    package: Path
    folder: Path
    channels: int
    answer: tuple[type[np.generic], tuple[int, ...]]


def add_model(uri: str, tracked: Tracked, files: ModelFiles) -> None:
    """Add a loadable model to the run, once; trouble becomes a warning."""
    try:
        log_model(uri, connect(uri), tracked, files)
    except Exception as error:
        log.warning("MLflow at %s did not take the model: %s", uri, first_line(error))


def log_model(uri: str, client: Any, tracked: Tracked, files: ModelFiles) -> bool:
    """Add a loadable model to the run; False if it has one."""
    import mlflow  # noqa: PLC0415
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import Schema, TensorSpec  # noqa: PLC0415

    run_id = find_or_create_run(client, tracked).id
    run = client.get_run(run_id)
    if run.data.tags.get(LOGGED):
        return False
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, -1, -1, files.channels))]),
        outputs=Schema([TensorSpec(np.dtype(files.answer[0]), files.answer[1])]),
    )
    mlflow.set_tracking_uri(uri)
    with mlflow.start_run(run_id=run_id), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for an input example beside the signature
        mlflow.pyfunc.log_model(
            name="model",
            python_model=str(files.code),
            code_paths=[str(files.package)],
            artifacts={"trained": str(files.folder)},
            signature=signature,
            pip_requirements=["torch", "numpy", "pydantic", "pyyaml", "pillow", "safetensors", "webdataset"],
        )
    client.set_tag(run_id, LOGGED, "true")
    client.set_terminated(run_id, run.info.status, end_time=run.info.end_time)  # the block above has set its own
    return True


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

    client = connect(tracking_uri)
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
        raise DataError(f"weights.uri: MLflow at {tracking_uri} has no {uri}: {first_line(error)}") from None
    return kept
