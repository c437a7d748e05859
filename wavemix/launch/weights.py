"""The weights that an experiment starts from: found, identified by their digest, and written under our names to a file
in the run's folder, from which every process reads them. For the process that drives an experiment.

It knows where weights may come from, and leaves what a network takes of them to training.
"""

import pickle  # for the name of its error; nothing is unpickled here
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from wavemix.config import Experiment, Params
from wavemix.config.weights import MlflowWeights, PublishedWeights, TrainedWeights
from wavemix.errors import ConfigError, DataError
from wavemix.files import sha256_of, write_aside
from wavemix.models import ZOO
from wavemix.models.published import our_name
from wavemix.tasks import TASKS
from wavemix.tracking.models import fetch_weights
from wavemix.training.weights import names_taken


@dataclass(frozen=True)
class Source:
    """A file of weights as it was found here, and its digest, which is part of the run's identity."""

    file: Path
    sha256: str


def find_source(params: Params, experiment: Experiment) -> Source | None:
    """The file that the experiment's ``weights`` name; None where it starts from scratch.

    Raises:
        ConfigError: It is to come from MLflow, and there is none.
        DataError: It is not there.
    """
    match experiment.weights:
        case None:
            return None
        case TrainedWeights(folder=folder):
            return _source(Path(folder) / "model.safetensors", "train that experiment first")
        case PublishedWeights(file=published):
            return _source(Path(published), "download it first; `wavemix info` tells from where")
        case MlflowWeights(uri=uri):
            if params.tracking.mlflow_uri is None:
                raise ConfigError(f"weights.uri: found {uri}, but tracking.mlflow_uri names no MLflow to ask for it")
            file = fetch_weights(params.tracking.mlflow_uri, uri, Path(params.storage.runs) / "weights")
            return _source(file, "look at storage.runs")


def _source(file: Path, hint: str) -> Source:
    try:
        return Source(file, sha256_of(file))
    except OSError as error:
        raise DataError(f"weights: {file} cannot be read ({error.strerror}); {hint}") from None


def write_start(source: Source, experiment: Experiment, classes: tuple[str, ...], target: Path) -> None:
    """Write the weights as safetensors under the names of our networks, and tell which of the model's start fresh.

    Raises:
        ConfigError: They do not fit the experiment's model.
        DataError: The file does not hold weights, and nothing but weights.
    """
    if target.exists():
        return
    with torch.device("meta"):
        ours = TASKS[experiment.task.name](experiment.task, classes).build_model().state_dict()
    given = _published(source.file, ours) if isinstance(experiment.weights, PublishedWeights) else _own(source.file)
    fresh = set(ours) - set(names_taken(ours, given))
    write_aside(target, safetensors.torch.save(dict(given)))
    if isinstance(experiment.weights, PublishedWeights) and source.sha256 not in _known():
        print(f"weights: {source.file} has the sha256 {source.sha256}, which nobody vouches for", file=sys.stderr)
    print(f"weights: starts from {source.file}; fresh: {', '.join(sorted(fresh)) or 'nothing'}", file=sys.stderr)


def _own(file: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(file)
    except (OSError, SafetensorError) as error:
        raise DataError(f"weights: {file} is not a whole safetensors file: {error}") from None


def _published(file: Path, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of one of the authors' files under the names of our network. Nothing in it is ever executed."""
    try:
        theirs = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        kind = type(error).__name__  # its text advises to load the file in the way that runs what is in it
        raise DataError(f"weights: {file} is no file of weights alone ({kind}); nothing in it was executed") from None
    if not isinstance(theirs, dict) or not all(isinstance(tensor, Tensor) for tensor in theirs.values()):
        raise DataError(f"weights: {file} is not a file of weights by name, as all of the authors' are")
    names = {name: our_name(name, ours) for name in theirs}
    if twice := [name for name, our in names.items() if list(names.values()).count(our) > 1]:
        raise DataError(f"weights: {file} has {' and '.join(twice[:2])}, which are the same weight of the model")
    return {names[name]: tensor.contiguous() for name, tensor in theirs.items()}


def _known() -> set[str]:
    return {weights.sha256 for entry in ZOO.values() for weights in entry.weights if weights.sha256}
