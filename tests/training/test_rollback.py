"""Gradients that are not finite: steps are left out, weights go back, and training is given up if that is no help."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from factories.shades import Changed, recipe_of, run, task_of, written
from wavemix.config import Recipe
from wavemix.data import Manifest
from wavemix.errors import TrainingError
from wavemix.tracking import read_rows
from wavemix.training.checkpoint import OPTIMIZER, WEIGHTS, folder_of, newest_checkpoint, read_meta
from wavemix.training.requests import Request

TASK = task_of()


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return written(tmp_path / "shards", {"train": range(24), "val": range(24, 32)})


@pytest.fixture(autouse=True)
def _heard_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavemix.training.requests.LISTEN_EVERY_SECONDS", 0.0)


def recipe(epochs: int = 4, **others: Any) -> Recipe:
    """Three steps in an epoch."""
    return recipe_of({"optimizer": "adamw", "num_epochs": epochs, "lr": 0.01}, **others)


def poisoned(steps: Collection[int]) -> Any:
    """The task, whose pictures are broken at these steps (the first is 0), whoever does them and how often."""
    firsts = {float(np.random.default_rng([0, step, 0]).random()) for step in steps}

    def train_batch(batch: Mapping[str, Tensor], generator: np.random.Generator) -> Mapping[str, Tensor]:
        broken = float(generator.random()) in firsts
        return {**batch, "image": batch["image"] * float("nan")} if broken else batch

    return Changed(TASK, train_batch=train_batch)


def losses(run_dir: Path) -> dict[int, float]:
    return {row["step"]: row["train/loss"] for row in read_rows(run_dir / "metrics.jsonl") if "train/loss" in row}


def faults(run_dir: Path, kind: str) -> list[str]:
    return [row["text"] for row in read_rows(run_dir / "faults.jsonl") if row["kind"] == kind]


def test_a_bad_step_changes_nothing_but_the_count(manifest: Manifest, tmp_path: Path) -> None:
    def after(task: Any, steps: int, folder: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        for _ in range(steps):
            run(task, recipe(), manifest, tmp_path / folder, asked=lambda: Request.STOP)
        checkpoint = folder_of(steps, tmp_path / folder / "checkpoints")
        return load_file(checkpoint / WEIGHTS), torch.load(checkpoint / OPTIMIZER, weights_only=True)["state"]

    before, optimizer_before = after(TASK, 1, "before")
    found, optimizer_found = after(poisoned([1]), 2, "found")
    assert all(torch.equal(found[name], before[name]) for name in before)  # running statistics too
    assert all(torch.equal(optimizer_found[0][name], optimizer_before[0][name]) for name in optimizer_before[0])


def test_a_run_with_single_bad_steps_ends_well(manifest: Manifest, tmp_path: Path) -> None:
    assert run(poisoned([1, 4, 5, 8]), recipe(), manifest, tmp_path / "run")[-1] == 1.0
    assert losses(tmp_path / "run").keys() == {3, 6, 9, 10, 12}
    assert all(np.isfinite(loss) for loss in losses(tmp_path / "run").values())
    assert faults(tmp_path / "run", "rollback") == []


def test_after_several_bad_steps_in_a_row_weights_go_back_and_samples_go_on(manifest: Manifest, tmp_path: Path) -> None:
    task, made = poisoned([4, 5, 6]), recipe(ema_decay=0.5)
    score = run(task, made, manifest, tmp_path / "whole")[-1]
    assert score == 1.0
    said = "not finite in 3 steps in a row, up to step 7: weights go back to those of step 3, samples go on"
    assert faults(tmp_path / "whole", "rollback") == [f"the gradient was {said}"]
    for _step in range(7):
        run(task, made, manifest, tmp_path / "pieces", asked=lambda: Request.STOP, keep_checkpoints=9)
    good, back = (folder_of(step, tmp_path / "pieces" / "checkpoints") for step in (3, 7))
    for name in (WEIGHTS, OPTIMIZER, "average.safetensors"):
        assert (back / name).read_bytes() == (good / name).read_bytes()
    assert read_meta(back)["rollbacks"] == 1
    # Whoever is killed after it goes on as the one that was not.
    run(task, made, manifest, tmp_path / "pieces", keep_checkpoints=9)
    ends = [newest_checkpoint(tmp_path / folder / "checkpoints") for folder in ("whole", "pieces")]
    assert ends[0] is not None
    assert ends[1] is not None
    assert (ends[0] / WEIGHTS).read_bytes() == (ends[1] / WEIGHTS).read_bytes()
    assert losses(tmp_path / "pieces") == losses(tmp_path / "whole")
    assert faults(tmp_path / "pieces", "rollback") == [f"the gradient was {said}"]


def test_weights_go_back_to_the_steps_that_the_recipe_names(manifest: Manifest, tmp_path: Path) -> None:
    run(poisoned([7, 8, 9]), recipe(eval_every_epochs=4, checkpoint_every_steps=5), manifest, tmp_path / "run")
    (said,) = faults(tmp_path / "run", "rollback")
    assert "up to step 10: weights go back to those of step 5" in said


def test_training_is_given_up_after_so_many_roll_backs(manifest: Manifest, tmp_path: Path) -> None:
    said = (
        r"not finite in 2 steps in a row, up to step 8, after 1 roll-backs; lower the learning rate of this phase "
        r"\(recipe.phases\). The last checkpoints stay in .*checkpoints"
    )
    with pytest.raises(TrainingError, match=said):
        run(poisoned(range(4, 99)), recipe(max_bad_steps=2, max_rollbacks=1), manifest, tmp_path / "run")
    # And again, without a further try, when it is started again: it has been counted.
    with pytest.raises(TrainingError, match=said):
        run(poisoned(range(4, 99)), recipe(max_bad_steps=2, max_rollbacks=1), manifest, tmp_path / "run")
