"""Checkpoints are whole or absent, come back bit by bit, and never run code."""

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.amp import GradScaler

from wavemix.errors import CheckpointError
from wavemix.training.average import start_average, update_average
from wavemix.training.checkpoint import (
    AVERAGE,
    META,
    OPTIMIZER,
    WEIGHTS,
    checkpoints,
    load_checkpoint,
    load_scored,
    newest_checkpoint,
    place_of,
    read_meta,
    save_checkpoint,
    scored_weights,
)
from wavemix.training.state import Best, Place, TrainState


def fresh(width: int = 3, *, seed: int = 0) -> TrainState:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width * 4, 2))
    return TrainState(model, model, torch.optim.AdamW(model.parameters(), lr=0.01))


def train(state: TrainState, steps: int = 3) -> None:
    for _ in range(steps):
        torch.manual_seed(state.step)
        state.optimizer.zero_grad()
        state.model(torch.randn(5, 1, 4, 4)).square().mean().backward()
        state.optimizer.step()
        state.step += 1


def everything(state: TrainState) -> list[Any]:
    optimizer = state.optimizer.state_dict()
    numbers = [value for one in optimizer["state"].values() for value in one.values()]
    tensors = [*state.model.state_dict().values(), *numbers]
    return [*(tensor.numpy().tobytes() for tensor in tensors), optimizer["param_groups"], state.place]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Checkpoints of steps 3 and 6 in one folder."""
    state = fresh()
    for _ in range(2):
        train(state)
        save_checkpoint(state, tmp_path, loader={"epoch": 0}, meter={"steps": 2})
    return tmp_path


def steps(root: Path) -> list[int]:
    return [int(folder.name.removeprefix("step-")) for folder in checkpoints(root)]


def test_everything_comes_back_bit_by_bit(tmp_path: Path) -> None:
    state = fresh()
    train(state)
    state.phase, state.phase_start, state.best = 1, 2, Best(0.1 + 0.2, step=2, reached=1)
    folder = save_checkpoint(state, tmp_path, loader={"epoch": 0}, meter={"steps": 2})
    assert place_of(read_meta(folder)) == Place(3, 1, 2, Best(0.1 + 0.2, 2, 1))
    other = fresh(seed=1)
    load_checkpoint(other, folder, read_meta(folder))
    assert everything(other) == everything(state)
    train(state)
    train(other)
    assert everything(other) == everything(state)


def averaged(*, seed: int = 0) -> TrainState:
    """A state with an average and a scaler of its own."""
    state = fresh(seed=seed)
    state.average = start_average(state.model)
    state.scaler = GradScaler("cpu", init_scale=2.0**20, growth_interval=2)
    return state


def test_the_average_and_the_scale_come_back_too(tmp_path: Path) -> None:
    state = averaged()
    train(state)
    assert state.average is not None
    update_average(state.average, state.model, decay=0.5, num_updates=3)
    state.scaler.scale(torch.tensor(1.0))
    state.scaler.update(0.1 + 0.2)
    folder = save_checkpoint(state, tmp_path, loader={"epoch": 0}, meter={"steps": 2})
    other = averaged(seed=1)
    load_checkpoint(other, folder, read_meta(folder))
    assert other.scaler.state_dict() == state.scaler.state_dict()
    assert other.average is not None
    for found, expected in zip(other.average.state_dict().values(), state.average.state_dict().values(), strict=True):
        assert torch.equal(found, expected)
    assert not torch.equal(other.average.state_dict()["0.weight"], other.model.state_dict()["0.weight"])


def test_what_was_scored_is_the_average_where_there_is_one(saved: Path, tmp_path: Path) -> None:
    without = checkpoints(saved)[-1]
    assert scored_weights(without) == without / WEIGHTS
    state = averaged()
    train(state)
    folder = save_checkpoint(state, tmp_path / "averaged", loader={"epoch": 0}, meter={"steps": 2})
    assert scored_weights(folder) == folder / AVERAGE
    other = averaged(seed=1)
    load_scored(other, folder)
    for model in (other.model, other.average):
        assert torch.equal(model.state_dict()["0.weight"], fresh().model.state_dict()["0.weight"])  # type: ignore[union-attr]


def test_weights_alone_leave_the_rest(saved: Path) -> None:
    state = fresh(seed=1)
    load_scored(state, checkpoints(saved)[-1])
    assert (state.step, state.optimizer.state_dict()["state"]) == (0, {})
    assert not torch.equal(state.model[0].weight, fresh(seed=1).model[0].weight)


def damage(folder: Path, how: str) -> None:
    name, _, kind = how.partition(" ")
    path = folder / name
    if kind == "missing":
        path.unlink()
    elif kind == "cut off":
        path.write_bytes(path.read_bytes()[:-5])
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


HOW = [f"{name} {kind}" for name in (WEIGHTS, OPTIMIZER) for kind in ("missing", "cut off", "flipped")]


@pytest.mark.parametrize("how", [*HOW, f"{META} missing", f"{META} cut off"])
def test_a_damaged_newest_one_is_passed_over_with_a_warning(
    saved: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(checkpoints(saved)[-1], how)
    with caplog.at_level(logging.WARNING):
        assert newest_checkpoint(saved) == saved / "step-00000003"
    assert len(caplog.records) == 1
    assert "step-00000006" in caplog.text
    assert "going back to the one before it" in caplog.text


def test_when_all_are_damaged_somebody_must_decide(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    for folder in checkpoints(saved):
        damage(folder, f"{WEIGHTS} cut off")
    with pytest.raises(CheckpointError, match="all 2 checkpoints are damaged; delete the folder to start anew"):
        newest_checkpoint(saved)
    assert len(caplog.records) == 2


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "not there") is None


def test_the_newest_two_and_the_best_are_kept(tmp_path: Path) -> None:
    state = fresh()
    for best in (1, 2, 2, 2, 5, 5):
        train(state, 1)
        state.best = Best(0.5, best, best)
        save_checkpoint(state, tmp_path, loader={"epoch": 0}, meter={"steps": 2})
    assert steps(tmp_path) == [5, 6]
    for _ in range(2):
        train(state, 1)
        save_checkpoint(state, tmp_path, loader={"epoch": 0}, meter={"steps": 2})
    assert steps(tmp_path) == [5, 7, 8]


def test_a_folder_of_an_interrupted_save_is_ignored_and_goes(saved: Path) -> None:
    aside = saved / ".step-00000009.partial"
    shutil.copytree(checkpoints(saved)[-1], aside)
    assert newest_checkpoint(saved) == saved / "step-00000006"
    state = fresh()
    train(state, 9)
    save_checkpoint(state, saved, loader={"epoch": 0}, meter={"steps": 2})
    assert not aside.exists()
    assert newest_checkpoint(saved) == saved / "step-00000009"


def test_a_damaged_one_of_the_same_step_is_replaced(saved: Path) -> None:
    damage(saved / "step-00000006", f"{WEIGHTS} missing")
    state = fresh()
    load_checkpoint(state, saved / "step-00000003", read_meta(saved / "step-00000003"))
    train(state)
    save_checkpoint(state, saved, loader={"epoch": 0}, meter={"steps": 2})
    assert read_meta(saved / "step-00000006")["step"] == 6


class Evil:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.witness,)


def test_a_file_that_would_run_code_is_refused(saved: Path, tmp_path: Path) -> None:
    """Even with the right digest: somebody who can write checkpoints cannot run code."""
    folder, witness = checkpoints(saved)[-1], tmp_path / "it ran"
    torch.save({"state": Evil(witness)}, folder / OPTIMIZER)
    meta = json.loads((folder / META).read_text())
    meta["files"][OPTIMIZER] = hashlib.sha256((folder / OPTIMIZER).read_bytes()).hexdigest()
    (folder / META).write_text(json.dumps(meta))
    with pytest.raises(CheckpointError, match="is not one of this optimizer"):
        load_checkpoint(fresh(), folder, read_meta(folder))
    assert not witness.exists()


@pytest.mark.parametrize("width", [2, 4])
def test_weights_of_another_model_are_refused(saved: Path, width: int) -> None:
    folder = checkpoints(saved)[-1]
    with pytest.raises(CheckpointError, match=f"{folder / WEIGHTS}: its weights do not fit this model"):
        load_checkpoint(fresh(width), folder, read_meta(folder))


def test_another_format_is_told(saved: Path) -> None:
    folder = checkpoints(saved)[-1]
    meta = json.loads((folder / META).read_text())
    (folder / META).write_text(json.dumps({**meta, "format": 1}))
    with pytest.raises(CheckpointError, match=f"{folder}: checkpoint of format 1, this version reads 4"):
        read_meta(folder)
