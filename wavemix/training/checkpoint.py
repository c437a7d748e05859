"""Checkpoints on disk: whole or absent, checked when read, and never able to run code.

A checkpoint is a folder ``step-00000120`` with the weights and, where the recipe keeps one, their average (both
safetensors), the optimizer (read back with ``weights_only=True``) and ``meta.json``, which names all with their digests
and is written last; then the folder gets its name. It knows no task, no loop, and no launcher.
"""

import json
import logging
import os
import pickle  # for the name of its error; nothing is unpickled here
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from wavemix.errors import CheckpointError, first_line
from wavemix.files import sha256_of, sync_folder
from wavemix.training.state import Best, Place, TrainState

FORMAT = 4
WEIGHTS, AVERAGE, OPTIMIZER, META = "model.safetensors", "average.safetensors", "optimizer.pt", "meta.json"

log = logging.getLogger(__name__)


def folder_of(step: int, root: Path) -> Path:
    return root / f"step-{step:08d}"


def save_checkpoint(
    state: TrainState,
    root: Path,
    *,
    loader: Mapping[str, Any],
    meter: Mapping[str, Any],
    regular: bool = True,
    keep: int = 2,
    check: Callable[[], None] = lambda: None,
) -> Path:
    """Write the state, then delete all but the newest ``keep`` checkpoints, the best one and the newest good one. For
    one rank to call.

    ``loader`` says where the loader stands, and ``meter`` what was counted since numbers were last logged, for any
    number of ranks to go on from. ``regular``: the recipe asks for it at this step. ``check`` is called when all is
    written and nothing has its name yet, and may raise.

    Returns:
        The checkpoint's folder under ``root``.
    """
    final = folder_of(state.step, root)
    aside = root / f".{final.name}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    _save_weights(state.model, aside / WEIGHTS)
    if state.average is not None:
        _save_weights(state.average, aside / AVERAGE)
    torch.save(state.optimizer.state_dict(), aside / OPTIMIZER)
    meta = {
        "format": FORMAT,
        **state.place._asdict(),
        "best": state.best._asdict() if state.best else None,
        "regular": regular,
        "bad_steps": state.bad_steps,
        "rollbacks": state.rollbacks,
        "loader": dict(loader),
        "meter": dict(meter),
        "scaler": state.scaler.state_dict(),
        "files": {path.name: _synced_digest(path) for path in sorted(aside.iterdir())},
    }
    (aside / META).write_text(json.dumps(meta, indent=1))
    _synced_digest(aside / META)
    check()
    shutil.rmtree(final, ignore_errors=True)  # a damaged one of the same step
    aside.rename(final)
    sync_folder(root)
    best = folder_of(state.best.step, root) if state.best else None
    good = next((folder for folder in reversed(checkpoints(root)) if is_good(_unchecked_meta(folder))), None)
    for old in checkpoints(root)[:-keep]:
        if old not in (best, good):
            shutil.rmtree(old)
    return final


def checkpoints(root: Path) -> list[Path]:
    """All checkpoint folders, oldest first."""
    return sorted(root.glob("step-*"))


def newest_name(root: Path) -> str | None:
    """The name of the newest checkpoint, whole or not."""
    return max((folder.name for folder in checkpoints(root)), default=None)


def is_good(meta: Mapping[str, Any]) -> bool:
    """Whether weights may go back to it: weights that were saved between bad steps are what the steps are bad with."""
    return bool(meta.get("regular") and meta["bad_steps"] == 0)


def newest_checkpoint(root: Path, *, accept: Callable[[Mapping[str, Any]], bool] = lambda _meta: True) -> Path | None:
    """The newest checkpoint that is whole and whose ``meta.json`` is accepted; damaged ones are passed over with a
    warning.

    Raises:
        CheckpointError: There are checkpoints, but every one is damaged: starting anew must be somebody's decision.
    """
    found, damaged = checkpoints(root), 0
    for folder in reversed(found):
        try:
            meta = read_meta(folder)
        except CheckpointError as error:
            log.warning("%s; going back to the one before it", error)
            damaged += 1
        else:
            if accept(meta):
                return folder
    if found and damaged == len(found):
        raise CheckpointError(f"{root}: all {len(found)} checkpoints are damaged; delete the folder to start anew")
    return None


def read_meta(folder: Path) -> dict[str, Any]:
    """The checkpoint's ``meta.json``, after every file was found to be what it says.

    Raises:
        CheckpointError: Something is missing or has another digest.
    """
    try:
        meta: dict[str, Any] = json.loads((folder / META).read_text())
        if meta["format"] != FORMAT:
            raise CheckpointError(f"{folder}: checkpoint of format {meta['format']}, this version reads {FORMAT}")
        for name, digest in meta["files"].items():
            if sha256_of(folder / name) != digest:
                raise CheckpointError(f"{folder}: {name} is damaged")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder}: not a whole checkpoint: {error}") from None
    return meta


def _unchecked_meta(folder: Path) -> dict[str, Any]:
    try:
        meta: dict[str, Any] = json.loads((folder / META).read_text())
    except (OSError, ValueError):
        return {}
    return meta


def place_of(meta: Mapping[str, Any]) -> Place:
    """Where the run stood whose checkpoint has this ``meta.json``."""
    return Place(meta["step"], meta["phase"], meta["phase_start"], Best(**meta["best"]) if meta["best"] else None)


def load_checkpoint(state: TrainState, folder: Path, meta: Mapping[str, Any]) -> None:
    """Put the checkpoint with this ``meta.json`` into a state whose optimizer belongs to the checkpoint's phase."""
    load_learned(state, folder, meta, with_optimizer=True)
    state.step, state.phase, state.phase_start, state.best = place_of(meta)
    state.bad_steps, state.rollbacks = meta["bad_steps"], meta["rollbacks"]


def load_learned(state: TrainState, folder: Path, meta: Mapping[str, Any], *, with_optimizer: bool) -> None:
    """Put the checkpoint's weights, their average and, if it is of the same phase, the optimizer into the state, which
    stays where it stands."""
    _load_weights(state.model, folder / WEIGHTS)
    if state.average is not None:
        _load_weights(state.average, folder / AVERAGE)
    if not with_optimizer:
        return
    groups = state.optimizer.param_groups
    of_recipe = [{key: value for key, value in group.items() if key != "params"} for group in groups]
    try:
        state.optimizer.load_state_dict(torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True))
        for group, settings in zip(state.optimizer.param_groups, of_recipe, strict=True):
            group.update(settings)  # another run's checkpoint has those of its recipe
        state.scaler.load_state_dict(meta["scaler"])
    except (pickle.UnpicklingError, RuntimeError, ValueError, KeyError) as error:
        reason = first_line(error)
        raise CheckpointError(f"{folder}: its {OPTIMIZER} is not one of this optimizer: {reason}") from None


def scored_weights(folder: Path) -> Path:
    """The file with the weights that were evaluated: the average where there is one."""
    return folder / AVERAGE if (folder / AVERAGE).exists() else folder / WEIGHTS


def load_scored(state: TrainState, folder: Path) -> None:
    """Put the weights that were evaluated into the model, and into its average, in place.

    Raises:
        CheckpointError: They are of another model.
    """
    for model in dict.fromkeys((state.model, state.scored)):
        _load_weights(model, scored_weights(folder))


def _save_weights(model: nn.Module, path: Path) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}, path)


def _load_weights(model: nn.Module, path: Path) -> None:
    try:
        model.load_state_dict(load_file(path))
    except (RuntimeError, OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: its weights do not fit this model: {first_line(error)}") from None


def _synced_digest(path: Path) -> str:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return sha256_of(path)
