"""A run in this process: it ends in an exported model, says why it cannot go on, and is scored on its own data."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from wavemix.config import Recipe
from wavemix.data import Manifest, Options, make_plan, read_manifest, write_shards
from wavemix.data.decode import encode_png
from wavemix.data.raw.items import Item, RawSet
from wavemix.errors import DataError, TrainingError
from wavemix.tasks.classification import Classification
from wavemix.tracking import read_rows
from wavemix.training.checkpoint import WEIGHTS, newest_checkpoint, read_meta
from wavemix.training.run import Runtime, train
from wavemix.training.scoring import score
from wavemix.training.trained import load_trained, save_trained

MODEL = {"dim": 8, "depth": 1, "in_channels": 1}
TASK_SECTION = {"name": "classification", "model": MODEL, "image_size": 4, "mean": [0.5], "std": [0.5]}
TASK = Classification(("dark", "bright"), MODEL, 4, (0.5,), (0.5,), {}, 0.0)


def read(number: int) -> dict[str, bytes]:
    shade = 40 + 170 * (number % 2) + number % 7
    return {"image": encode_png(np.full((4, 4), shade, np.uint8))}


def written(folder: Path, splits: Mapping[str, Iterable[int]], name: str) -> Manifest:
    items = {split: [Item(f"{n:03d}", n % 2, n) for n in numbers] for split, numbers in splits.items()}
    raw = RawSet("labelled_image", ("dark", "bright"), items, read, "fingerprint")
    return write_shards(make_plan(raw, name=name, source={}, options=Options(samples_per_shard=10)), folder)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return written(tmp_path / "shards", {"train": range(24), "val": range(24, 32), "test": range(32, 39)}, "shades")


def recipe(lr: float = 1e-3, epochs: tuple[int, int] = (3, 1)) -> Recipe:
    phases = [
        {"optimizer": "adamw", "num_epochs": epochs[0], "lr": lr},
        {"optimizer": "sgd", "num_epochs": epochs[1], "lr": 1e-3},
    ]
    return Recipe.model_validate_json(json.dumps({"global_batch": 8, "eval_batch": 8, "phases": phases}))


def run(manifest: Manifest, run_dir: Path, made: Recipe) -> list[float]:
    """Train; returns the top-1 that was reported after each epoch."""
    reported = []

    def report(metrics: Mapping[str, float], _checkpoint: Path | None) -> None:
        reported.append(metrics["top1"])

    train(TASK, made, manifest, run_dir, seed=0, runtime=Runtime(torch.device("cpu"), report))
    return reported


def test_a_run_reports_every_epoch_and_keeps_the_newest_and_the_best(manifest: Manifest, tmp_path: Path) -> None:
    reported = run(manifest, tmp_path / "run", recipe())
    assert len(reported) == 4
    newest = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert newest is not None
    meta = read_meta(newest)
    assert meta["step"] == 12
    assert meta["phase"] == 1
    assert meta["best"]["score"] == max(reported)
    steps = [row["step"] for row in read_rows(tmp_path / "run" / "metrics.jsonl") if "eval/top1" in row]
    assert steps == [3, 6, 9, 12]


def test_the_second_phase_starts_from_the_best_weights(manifest: Manifest, tmp_path: Path) -> None:
    # The first phase wrecks what it has learnt in its second epoch; nothing of that may reach the second phase.
    whole = run(manifest, tmp_path / "whole", recipe(lr=0.5, epochs=(4, 1)))
    meta = read_meta(newest_checkpoint(tmp_path / "whole" / "checkpoints"))  # type: ignore[arg-type]
    before = [row for row in read_rows(tmp_path / "whole" / "metrics.jsonl") if "eval/loss" in row]
    best = max(range(4), key=lambda epoch: (whole[epoch], epoch))
    assert meta["best"]["score"] >= whole[best]
    # One epoch of SGD at 1e-3 hardly moves: the loss stays at the best epoch's, not at the last one's.
    distance = [abs(before[4]["eval/loss"] - before[epoch]["eval/loss"]) for epoch in range(4)]
    assert distance[best] == min(distance)


def test_a_loss_that_is_not_finite_stops_the_run_and_says_what_to_do(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step \d+; lower the learning rate"):
        run(manifest, tmp_path / "run", recipe(lr=1e30))


def test_a_finished_run_that_is_started_again_does_nothing(manifest: Manifest, tmp_path: Path) -> None:
    run(manifest, tmp_path / "run", recipe())
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    assert run(manifest, tmp_path / "run", recipe()) == []
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_a_damaged_checkpoint_costs_an_epoch_and_no_number(
    manifest: Manifest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(manifest, tmp_path / "run", recipe())
    newest = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert newest is not None
    whole = (newest / WEIGHTS).read_bytes()
    (newest / WEIGHTS).write_bytes(whole[:-4] + b"\0\0\0\1")
    with caplog.at_level(logging.WARNING):
        assert len(run(manifest, tmp_path / "run", recipe())) == 1
    assert "model.safetensors is damaged" in caplog.text
    assert (newest / WEIGHTS).read_bytes() == whole


@pytest.fixture
def exported(manifest: Manifest, tmp_path: Path) -> Path:
    run(manifest, tmp_path / "run", recipe())
    newest = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert newest is not None
    data = {"name": "shades", "manifest_sha256": manifest.sha256}
    save_trained(
        tmp_path / "out", newest / WEIGHTS, {"task": TASK_SECTION, "classes": ["dark", "bright"], "data": data}
    )
    return tmp_path / "out"


def test_an_exported_model_is_scored_on_every_held_out_sample(
    exported: Path, manifest: Manifest, tmp_path: Path
) -> None:
    metrics = score(load_trained(exported), manifest, tmp_path / "scored", batch_size=3)
    written = json.loads((tmp_path / "scored" / "metrics.json").read_text())
    assert written == {"split": "test", "num_samples": 7, "metrics": metrics}
    assert set(metrics) == {"loss", "top1", "top5"}
    lines = (tmp_path / "scored" / "tables" / "confusion.csv").read_text().splitlines()
    counts = {tuple(line.split(",")[:2]): int(line.split(",")[2]) for line in lines[1:]}
    assert len(counts) == 4
    assert sum(counts.values()) == 7
    assert counts["dark", "dark"] + counts["bright", "bright"] == round(7 * metrics["top1"])
    answers = Counter((tmp_path / "scored" / "tables" / "predictions.csv").read_text().splitlines()[1:])
    assert answers == {f"{truth},{answer}": count for (truth, answer), count in counts.items() if count}
    samples = json.loads((tmp_path / "scored" / "samples.json").read_text())
    assert len(samples) == 7
    assert [one["correct"] for one in samples] == sorted(one["correct"] for one in samples)  # wrong ones first
    assert all((tmp_path / "scored" / one["file"]).is_file() for one in samples)


def test_a_model_is_not_scored_on_data_it_was_not_trained_on(exported: Path, tmp_path: Path) -> None:
    other = written(tmp_path / "other", {"train": [0, 1], "val": [2], "test": [3]}, "other")
    with pytest.raises(DataError, match="not the data that the model was trained on"):
        score(load_trained(exported), read_manifest(other.folder), tmp_path / "scored", batch_size=3)


@pytest.mark.parametrize("damage", ["no weights", "half the weights", "another format", "another model"])
def test_files_that_are_no_trained_model_are_said_to_be_none(exported: Path, damage: str) -> None:
    weights, described = exported / "model.safetensors", exported / "model.json"
    info = json.loads(described.read_text())
    if damage == "no weights":
        weights.unlink()
    elif damage == "half the weights":
        weights.write_bytes(weights.read_bytes()[:500])
    elif damage == "another format":
        described.write_text(json.dumps({**info, "format": 99}))
    else:
        info["task"]["model"]["dim"] = 12
        described.write_text(json.dumps(info))
    with pytest.raises(DataError, match=str(exported)) as raised:
        load_trained(exported)
    assert len(str(raised.value).splitlines()) <= 3
