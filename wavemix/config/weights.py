"""The section ``weights`` of an experiment: which trained weights it starts from. It opens no file.

The names and shapes of the network decide what is taken. Its head (``head``, ``final`` or ``decoder``) may be missing
there or be of another shape, such as one for other classes, and then starts afresh; all else must fit.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from wavemix.config.section import Section


class TrainedWeights(Section):
    """A model that was trained here: the folder of its model.safetensors, as ``results/experiments/NAME/train``."""

    kind: Literal["trained"]
    folder: str


class MlflowWeights(Section):
    """A model in MLflow at ``tracking.mlflow_uri``: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION`` or
    ``runs:/RUN_ID/model``. An alias that moves on to another model makes another experiment."""

    kind: Literal["mlflow"]
    uri: Annotated[str, StringConstraints(pattern=r"^(models|runs):/.+")]


class PublishedWeights(Section):
    """A file of the authors, as downloaded; `wavemix info` names them."""

    kind: Literal["published"]
    file: str


Weights = Annotated[TrainedWeights | MlflowWeights | PublishedWeights, Field(discriminator="kind")]
