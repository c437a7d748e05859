"""A trained model as MLflow serves it: pictures in, answers out. MLflow runs this file when it loads one.

It knows the two files of a trained model and MLflow's interface, and nothing of training.
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from numpy.typing import NDArray

from wavemix.training.serving import predict
from wavemix.training.trained import load_trained


class WaveMixModel(PythonModel):
    """``predict`` is that of ``wavemix.training.serving``; class names are in the artifact ``trained/model.json``."""

    def load_context(self, context: PythonModelContext) -> None:
        self.trained = load_trained(Path(context.artifacts["trained"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: np.ndarray,  # MLflow warns of a closer hint
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> NDArray[np.generic]:
        return predict(self.trained, np.asarray(model_input))


mlflow.models.set_model(WaveMixModel())
