"""One identity for one result: the run key, a digest of everything that the result depends on.

It names the run's folder, the Ray run and the MLflow run. Where and on how many workers a run trains is no part of it.
"""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import wavemix
from wavemix.config import Experiment

PACKAGE = Path(wavemix.__file__).parent

COMMIT = "WAVEMIX_COMMIT"
"""The environment variable that tells a job the commit it runs from."""

DECIDES_NUMBERS = (
    "color.py",
    "data/augment.py",
    "data/decode.py",
    "data/loader.py",
    "data/location.py",
    "data/manifest.py",
    "data/masks.py",
    "data/mixing.py",
    "data/order.py",
    "data/reader.py",
    "data/schema.py",
    "data/shards.py",
    "data/transforms.py",
    "distributed.py",
    "losses.py",
    "metrics",
    "models",
    "tasks",
    "training",
)
"""The code whose change makes another result, relative to the package; dvc.yaml's train stage depends on the same."""

DECIDES_NOTHING = (
    "models/count.py",
    "models/fuse.py",
    "models/zoo",
    "training/clock.py",
    "training/copies.py",
    "training/fence.py",
    "training/requests.py",
    "training/serving.py",
    "training/store.py",
    "training/watchdog.py",
)
"""Code below the above that describes or deploys networks, or keeps runs alive; left out here and by .dvcignore."""


def code_version() -> str:
    """Digest of the code that decides a result's numbers; the same in a git clone and in a plain copy."""
    digest = hashlib.sha256()
    left_out = [PACKAGE / place for place in DECIDES_NOTHING]
    for place in DECIDES_NUMBERS:
        path = PACKAGE / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if not any(file.is_relative_to(place) for place in left_out):
                digest.update(f"{file.relative_to(PACKAGE).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def run_key(
    experiment: Experiment,
    manifest_sha256: str,
    code: str,
    weights_sha256: str | None = None,
    resumed_sha256: str | None = None,
) -> str:
    """16 hex digits; the same for the same experiment, data, code, weights to start from and checkpoint to go on from.

    Of the experiment only what trains it counts. Of weights and checkpoint it is their content, wherever they lie.
    """
    trains = experiment.model_dump(mode="json", include={"data", "task", "recipe", "seed"})
    weights = {"weights": weights_sha256} if weights_sha256 else {}
    resumed = {"resumed": resumed_sha256} if resumed_sha256 else {}
    what = {"experiment": trains, "manifest": manifest_sha256, "code": code, **weights, **resumed}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def git_commit() -> str:
    """The commit that this runs from, with ``-dirty`` when the tree differs from it; empty without git.

    It is told, and decides nothing: the run key has the code's own digest. A job has no git, and is told by its sender.
    """
    if told := os.environ.get(COMMIT):
        return told
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PACKAGE)
    except OSError:  # no git
        return ""
    return asked.stdout.strip()
