"""A trained model as MLflow serves it: pictures in, class probabilities out. MLflow runs this file when it loads one.

It knows the two files of a trained model and MLflow's interface, and nothing of training.
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from numpy.typing import NDArray

from wavemix.data.loader import stack
from wavemix.data.schema import LabelledImage
from wavemix.training.evaluation import to_device
from wavemix.training.trained import load_trained


class WaveMixModel(PythonModel):
    """``predict`` takes uint8 ``[n, h, w, 3]`` RGB in 0..255 and returns float32 ``[n, k]`` probabilities; pictures
    of any size, resized and cropped as in evaluation. Class names are in the artifact ``trained/model.json``."""

    def load_context(self, context: PythonModelContext) -> None:
        self.trained = load_trained(Path(context.artifacts["trained"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: np.ndarray,  # MLflow warns of a closer hint
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        task = self.trained.task
        samples = [task.eval_transform(LabelledImage("", image, 0)) for image in np.asarray(model_input)]
        batch = to_device(stack([sample.fields() for sample in samples]), torch.device("cpu"))
        with torch.inference_mode():
            probabilities: NDArray[np.float32] = task.predict(self.trained.model, batch).softmax(dim=1).numpy()
        return probabilities


mlflow.models.set_model(WaveMixModel())
