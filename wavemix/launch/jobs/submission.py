"""A stage that is to run on a cluster: by what it is known, which files it needs there, and where its outputs will lie.

Relative folders of ``storage`` are this machine's, absolute ones are every node's. It sends nothing, and knows no Ray.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from wavemix.config import Experiment, Params, changed_experiment, to_yaml
from wavemix.config.weights import MlflowWeights
from wavemix.data import Manifest, read_manifest
from wavemix.data.location import location_of
from wavemix.errors import ConfigError, DataError
from wavemix.files import sha256_of
from wavemix.launch.identity import PACKAGE
from wavemix.launch.plan import Planned, plan

STAGES: Mapping[str, str] = {"train": "experiments", "tune": "sweeps", "evaluate": "experiments"}
"""The stages that a cluster can do, each with the section of params.yaml that has its names."""

MOST_BYTES = 95 * 2**20
"""A job server refuses requests of more than 100 MiB, and the folder of a job is sent in one, as a zip."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submission:
    """``id`` is the same for the same outcome. ``params`` are as the stage is to read them there.

    Of what else it reads, by the paths in its folder there, ``files`` are for every node and ``inputs`` for its driver
    alone. Its outputs are the folder ``outputs`` in ``storage.results``, left in ``place``, a folder or a URL.
    """

    stage: str
    name: str
    id: str
    params: Params
    files: Mapping[str, Path]
    inputs: Mapping[str, Path]
    outputs: str
    place: str

    @property
    def computes(self) -> bool:
        """Whether the stage computes in its own process, and not in workers that it asks the cluster for."""
        return self.stage == "evaluate" or self.params.launch.launcher == "local"


def submission_of(params: Params, stage: str, name: str) -> Submission:
    """What it takes to run the stage on a cluster.

    Raises:
        ConfigError: There is no such stage or name, its outputs would be lost, or its files are too large.
        DataError: Something that it needs is missing here, or is here where the cluster cannot read it.
    """
    if stage not in STAGES:
        raise ConfigError(f"stage {stage!r}: only {', '.join(STAGES)} can be sent to a cluster")
    if name not in (known := getattr(params, STAGES[stage])):
        raise ConfigError(f"{name!r} is not in the section {STAGES[stage]} of params.yaml: {', '.join(known)}")
    place = _place_for_jobs(params)
    files = {**_code(), **dict(_data(params, stage, name))}
    inputs: dict[str, Path] = {}
    if stage == "evaluate":
        key, outputs = _key_of_evaluation(params, name), f"experiments/{name}/evaluation"
        inputs = _trained(params, name)
    elif stage == "train":
        key, planned = _key_of_training(params, stage, name)
        outputs = f"experiments/{name}/train"
        inputs = _weights(planned)
    else:
        key, planned = _key_of_training(params, stage, name)
        outputs = f"sweeps/{name}"
        files |= _weights(planned)  # each trial looks for them, wherever it runs
    _check_files({**files, **inputs})
    _check_size(files)
    identity = f"{stage}-{name}-{key}"
    sent = _for_the_cluster(params, stage, name)
    return Submission(stage, name, identity, sent, files, inputs, outputs, f"{place}/{identity}")


def write_folder(submission: Submission, folder: Path) -> None:
    """Write the folder in which the stage is to run, and no other job: Ray keeps one for each content."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_bytes(to_yaml(submission.params.model_dump(mode="json", exclude={"templates"})))
    (folder / "job").write_text(f"{submission.id}\n")
    for relative, source in submission.files.items():
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / relative)


def _place_for_jobs(params: Params) -> str:
    """The folder or URL below which jobs leave their outputs: one that the cluster and this machine can both reach."""
    named = "storage.remote" if params.storage.remote else "storage.runs"
    place = (params.storage.remote or params.storage.runs).rstrip("/")
    if _is_of_this_machine(place):
        raise ConfigError(
            f"{named}: found {place!r}, a folder of this machine: a job's checkpoints and outputs would be lost\n"
            "set storage.remote to s3://bucket/prefix or to the absolute path of a folder that every node shares"
        )
    if "://" not in place and not Path(place).is_dir():
        raise ConfigError(
            f"{named}: {place} is no folder of this machine, so what jobs leave there could not be brought back; "
            "share it with this machine too (or make it), or set storage.remote to s3://bucket/prefix"
        )
    return f"{place}/jobs"


def _is_of_this_machine(place: str) -> bool:
    return "://" not in place and not place.startswith("/")


def _code() -> dict[str, Path]:
    root = PACKAGE.parent
    found = [path for folder in (PACKAGE, root / "pipelines") for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(root).as_posix(): path for path in found if "__pycache__" not in path.parts}


def _experiment(params: Params, stage: str, name: str) -> Experiment:
    if stage != "tune":
        return params.experiments[name]
    sweep = params.sweeps[name]
    return changed_experiment(params.experiments[sweep.experiment], sweep.overrides, f"sweeps.{name}.overrides")


def _key_of_training(params: Params, stage: str, name: str) -> tuple[str, Planned]:
    planned = plan(params, name, _experiment(params, stage, name))
    if stage == "train":
        return planned.run_key, planned
    return _digest({"sweep": params.sweeps[name].model_dump(mode="json"), "run_key": planned.run_key}), planned


def _key_of_evaluation(params: Params, name: str) -> str:
    """It costs little to evaluate again, so any change of the code makes another job."""
    manifests = [manifest.sha256 for manifest in _manifests(params, "evaluate", name)]
    folder = _trained_folder(params, name)
    files = {**_code(), "model.json": folder / "model.json", "model.safetensors": folder / "model.safetensors"}
    experiment = params.experiments[name].model_dump(mode="json", exclude={"paper"})
    contents = {relative: sha256_of(path) for relative, path in files.items()}
    return _digest({"experiment": experiment, "manifests": manifests, "files": contents})


def _digest(what: Any) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def _manifests(params: Params, stage: str, name: str) -> list[Manifest]:
    experiment = _experiment(params, stage, name)
    names = [experiment.data, *(experiment.scored_on if stage == "evaluate" else ())]
    return [read_manifest(Path(params.storage.shards) / data) for data in names]


def _data(params: Params, stage: str, name: str) -> Iterator[tuple[str, Path]]:
    """Manifest, indexes and location of each set that the stage reads; its shards lie where the cluster reads them."""
    if not _is_of_this_machine(params.storage.shards):
        return
    for manifest in _manifests(params, stage, name):
        location = location_of(manifest.folder)
        if location is None or _is_of_this_machine(location):
            raise DataError(
                f"{manifest.folder}: its shards lie on this machine, where a cluster cannot read them\n"
                "copy them to an object store, or to a folder that every node shares, and write its URL (s3://..., "
                "file:///...) into the file `location` there, see docs/data.md"
            )
        names = ["manifest.json", "location", *(shard.index_name for shard in manifest.all_shards())]
        for path in [manifest.folder / file for file in names]:
            yield path.as_posix(), path


def _trained_folder(params: Params, name: str) -> Path:
    folder = Path(params.storage.results) / "experiments" / name / "train"
    if not (folder / "model.safetensors").is_file() or not (folder / "model.json").is_file():
        raise DataError(f"{folder}: there is no trained model; train {name} first")
    return folder


def _trained(params: Params, name: str) -> dict[str, Path]:
    folder = _trained_folder(params, name)
    if not _is_of_this_machine(params.storage.results):
        return {}
    return {path.as_posix(): path for path in sorted(folder.iterdir()) if path.is_file()}


def _weights(planned: Planned) -> dict[str, Path]:
    """The file of weights to start from; those in MLflow are fetched there as they are here."""
    file = planned.weights.file if planned.weights else None
    if file is None or isinstance(planned.experiment.weights, MlflowWeights) or file.is_absolute():
        return {}
    return {file.as_posix(): file}


def _check_files(files: Mapping[str, Path]) -> None:
    for relative, path in files.items():
        if ".." in PurePosixPath(relative).parts:
            raise ConfigError(f"{relative}: lies outside the project, and cannot be sent; name it by its absolute path")
        if not path.is_file():
            raise DataError(f"{path}: no such file, and the job needs it")


def _check_size(files: Mapping[str, Path]) -> None:
    sizes = {relative: path.stat().st_size for relative, path in files.items()}
    if (total := sum(sizes.values())) > MOST_BYTES:
        largest = max(sizes, key=lambda relative: sizes[relative])
        raise ConfigError(
            f"{total / 2**20:,.0f} MiB are to be sent, a job server takes {MOST_BYTES >> 20}; the most is {largest}\n"
            "put that into a folder that every node shares, and name it by its absolute path"
        )


def _for_the_cluster(params: Params, stage: str, name: str) -> Params:
    """The stage is to run there itself, on the Ray that it finds."""
    tracking = params.tracking
    if tracking.mlflow_uri and _is_file_of_this_machine(tracking.mlflow_uri):
        if isinstance(_experiment(params, stage, name).weights, MlflowWeights):
            raise ConfigError(
                f"tracking.mlflow_uri: found {tracking.mlflow_uri}, a file of this machine, from which a job cannot "
                "fetch the weights to start from; name an MLflow server"
            )
        log.warning(
            "tracking.mlflow_uri: %s is a file of this machine, so the job is not shown in MLflow; name a server that "
            "the cluster reaches",
            tracking.mlflow_uri,
        )
        tracking = tracking.model_copy(update={"mlflow_uri": None})
    launch = params.launch.model_copy(update={"jobs": None, "address": None})
    return params.model_copy(update={"launch": launch, "tracking": tracking})


def _is_file_of_this_machine(uri: str) -> bool:
    return _is_of_this_machine(uri.removeprefix("sqlite:///") if uri.startswith("sqlite:///") else uri)
