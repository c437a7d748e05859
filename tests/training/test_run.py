"""A run in this process: it ends in an exported model, says why it cannot go on, and is scored on its own data."""

import json
import logging
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from factories.shades import MODEL, SECTION, Changed, Stopped, hidden, recipe_of, run, task_of, written
from wavemix.config import Recipe
from wavemix.data import Manifest, read_manifest
from wavemix.errors import DataError, GivenUpError, TrainingError
from wavemix.tracking import read_rows
from wavemix.training.checkpoint import (
    AVERAGE,
    WEIGHTS,
    checkpoints,
    newest_checkpoint,
    place_of,
    read_meta,
    scored_weights,
)
from wavemix.training.fence import Fence
from wavemix.training.requests import Request
from wavemix.training.scoring import score
from wavemix.training.state import Place
from wavemix.training.trained import load_trained, save_trained

TASK = task_of()


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return written(tmp_path / "shards", {"train": range(24), "val": range(24, 32), "test": range(32, 39)})


def recipe(lr: float = 1e-3, epochs: tuple[int, int] = (3, 1), **others: Any) -> Recipe:
    return recipe_of(
        {"optimizer": "adamw", "num_epochs": epochs[0], "lr": lr},
        {"optimizer": "sgd", "num_epochs": epochs[1], "lr": 1e-3},
        **others,
    )


def newest(run_dir: Path) -> Path:
    found = newest_checkpoint(run_dir / "checkpoints")
    assert found is not None
    return found


def place(run_dir: Path) -> Place:
    return place_of(read_meta(newest(run_dir)))


def rows(run_dir: Path) -> list[dict[str, Any]]:
    """What the run logged, without clocks."""
    clocks = ("time", "train/samples_per_second")
    found = read_rows(run_dir / "metrics.jsonl")
    return [{k: v for k, v in row.items() if k not in clocks and not k.startswith("time/")} for row in found]


def test_a_run_reports_every_epoch_and_keeps_the_newest_and_the_best(manifest: Manifest, tmp_path: Path) -> None:
    reported = run(TASK, recipe(), manifest, tmp_path / "run")
    assert len(reported) == 4
    meta = read_meta(newest(tmp_path / "run"))
    assert meta["step"] == 12
    assert meta["phase"] == 1
    assert meta["best"]["score"] == max(reported)
    steps = [row["step"] for row in read_rows(tmp_path / "run" / "metrics.jsonl") if "eval/top1" in row]
    assert steps == [3, 6, 9, 12]


def test_the_second_phase_starts_from_the_best_weights(manifest: Manifest, tmp_path: Path) -> None:
    # The first phase wrecks what it has learnt in its second epoch; nothing of that may reach the second phase.
    whole = run(TASK, recipe(lr=0.5, epochs=(4, 1)), manifest, tmp_path / "whole")
    meta = read_meta(newest(tmp_path / "whole"))
    before = [row for row in read_rows(tmp_path / "whole" / "metrics.jsonl") if "eval/loss" in row]
    best = max(range(4), key=lambda epoch: (whole[epoch], epoch))
    assert meta["best"]["score"] >= whole[best]
    # One epoch of SGD at 1e-3 hardly moves: the loss stays at the best epoch's, not at the last one's.
    distance = [abs(before[4]["eval/loss"] - before[epoch]["eval/loss"]) for epoch in range(4)]
    assert distance[best] == min(distance)


def test_a_loss_that_is_not_finite_stops_the_run_and_says_what_to_do(manifest: Manifest, tmp_path: Path) -> None:
    said = r"not finite in 3 steps in a row, up to step 4, before any good checkpoint; lower the learning rate"
    with pytest.raises(TrainingError, match=said):
        run(TASK, recipe(lr=1e30), manifest, tmp_path / "run")


def test_a_finished_run_that_is_started_again_does_nothing(manifest: Manifest, tmp_path: Path) -> None:
    run(TASK, recipe(), manifest, tmp_path / "run")
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    assert run(TASK, recipe(), manifest, tmp_path / "run") == []
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_a_damaged_checkpoint_costs_an_epoch_and_no_number(
    manifest: Manifest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(TASK, recipe(), manifest, tmp_path / "run")
    damaged = newest(tmp_path / "run") / WEIGHTS
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-4] + b"\0\0\0\1")
    with caplog.at_level(logging.WARNING):
        assert len(run(TASK, recipe(), manifest, tmp_path / "run")) == 1
    assert "model.safetensors is damaged" in caplog.text
    assert damaged.read_bytes() == whole


GOLDEN = {4: 0.392764367, 8: 0.0236180511, 10: 0.00551915134, 12: 0.00122217264, 16: 0.000616294325}


def test_the_plain_recipe_gives_the_curve_that_it_always_gave(tmp_path: Path) -> None:
    manifest = written(tmp_path / "shards", {"train": range(27), "val": range(27, 35)})
    run(TASK, recipe(lr=1e-2), manifest, tmp_path / "run")
    losses = {row["step"]: row["train/loss"] for row in rows(tmp_path / "run") if "train/loss" in row}
    assert losses == pytest.approx(GOLDEN, rel=1e-3)


# --- stopped and continued ----------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _heard_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavemix.training.requests.LISTEN_EVERY_SECONDS", 0.0)


NOISY = {"model": {**MODEL, "dropout": 0.2}, "augment": {"horizontal_flip_prob": 0.5, "mix": {}}}
SWITCHING = (
    {"optimizer": "adamw", "num_epochs": 7, "lr": 0.03, "patience": 2, "schedule": {"kind": "cosine"}},
    {
        "optimizer": "sgd",
        "num_epochs": 5,
        "lr": 0.01,
        "patience": 2,
        "schedule": {"kind": "constant", "warmup_epochs": 1},
    },
)


def stopped_after_every_evaluation(*arguments: Any) -> int:
    """Run to the end, with a stop after each evaluation; returns how often it was started."""
    for starts in range(1, 50):
        try:
            run(*arguments, stop_after=1)
        except Stopped:
            continue
        return starts
    raise AssertionError("it never ends")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"ema_decay": 0.9, "clip_norm": 1.0},
        {"precision": "bf16", "micro_batch": 3},
        {"precision": "fp16", "ema_decay": 0.9},
        {"eval_every_epochs": 3},
    ],
    ids=lambda settings: "-".join(settings) or "plain",
)
def test_a_run_that_is_stopped_after_every_epoch_ends_as_the_one_that_never_was(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    manifest = written(tmp_path / "shards", {"train": range(30), "val": range(30, 50)}, read=hidden)
    task, made = task_of(**NOISY), recipe_of(*SWITCHING, **settings)
    evaluations = len(run(task, made, manifest, tmp_path / "whole"))
    starts = stopped_after_every_evaluation(task, made, manifest, tmp_path / "pieces")
    assert starts == evaluations + 1
    assert evaluations * settings.get("eval_every_epochs", 1) < 12  # a phase has ended early
    assert rows(tmp_path / "pieces") == rows(tmp_path / "whole")
    assert place(tmp_path / "pieces") == place(tmp_path / "whole")
    whole, pieces = newest(tmp_path / "whole"), newest(tmp_path / "pieces")
    files = sorted(path.name for path in whole.glob("*.safetensors"))
    assert files == sorted([WEIGHTS, *([AVERAGE] if "ema_decay" in settings else [])])
    for name in files:
        assert (pieces / name).read_bytes() == (whole / name).read_bytes()
    assert read_meta(pieces)["scaler"] == read_meta(whole)["scaler"]


@pytest.mark.parametrize("settings", [{"ema_decay": 0.9}, {"precision": "fp16"}], ids="".join)
def test_a_run_that_is_asked_to_stop_at_every_step_ends_as_the_one_that_never_was(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    manifest = written(tmp_path / "shards", {"train": range(45), "val": range(45, 50)}, read=hidden)
    task, made = task_of(**NOISY), recipe(epochs=(2, 1), log_every_steps=4, **settings)
    run(task, made, manifest, tmp_path / "whole")
    for _step in range(6 * 3):
        run(task, made, manifest, tmp_path / "pieces", asked=lambda: Request.STOP)
    assert rows(tmp_path / "pieces") == rows(tmp_path / "whole")
    assert [row["step"] for row in rows(tmp_path / "pieces") if "train/loss" in row] == [4, 6, 8, 12, 16, 18]
    assert {
        row["train/epoch_samples"] for row in rows(tmp_path / "pieces") if row["step"] % 6 == 0 and "epoch" in row
    } == {45.0}
    assert newest(tmp_path / "pieces").name == "step-00000018"
    for name in {WEIGHTS, scored_weights(newest(tmp_path / "whole")).name}:
        assert (newest(tmp_path / "pieces") / name).read_bytes() == (newest(tmp_path / "whole") / name).read_bytes()


def test_checkpoints_come_as_often_as_they_are_asked_for_and_the_best_one_stays(
    manifest: Manifest, tmp_path: Path
) -> None:
    with_best = tmp_path / "run" / "checkpoints" / "step-00000003"
    run(
        TASK,
        recipe(epochs=(2, 1)),
        manifest,
        tmp_path / "run",
        save_every_seconds=0.0,
        keep_checkpoints=3,
        stop_after=0,
    )
    steps = [int(folder.name.removeprefix("step-")) for folder in checkpoints(tmp_path / "run" / "checkpoints")]
    assert steps[-3:] == [7, 8, 9]
    assert with_best.exists() == (read_meta(newest(tmp_path / "run"))["best"]["step"] == 3)


def test_a_run_whose_folder_is_lost_goes_on_from_its_second_place(manifest: Manifest, tmp_path: Path) -> None:
    run(TASK, recipe(), manifest, tmp_path / "whole")
    with pytest.raises(Stopped):
        run(TASK, recipe(), manifest, tmp_path / "run", remote=str(tmp_path / "remote"), stop_after=2)
    shutil.rmtree(tmp_path / "run")
    reported = run(TASK, recipe(), manifest, tmp_path / "run", remote=str(tmp_path / "remote"))
    assert len(reported) == 2
    assert (newest(tmp_path / "run") / WEIGHTS).read_bytes() == (newest(tmp_path / "whole") / WEIGHTS).read_bytes()


def test_a_run_goes_on_from_the_checkpoint_of_another_by_its_own_recipe(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(TASK, recipe(), manifest, tmp_path / "donor", stop_after=2)
    donor = newest(tmp_path / "donor")
    heir = recipe(lr=0.02)
    assert len(run(TASK, heir, manifest, tmp_path / "heir", resume_from=donor)) == 2
    assert [row["train/lr"] for row in rows(tmp_path / "heir") if "train/lr" in row] == [0.02, 0.001, 0.001]
    assert [row["step"] for row in rows(tmp_path / "heir") if "eval/top1" in row] == [9, 12]
    assert place(tmp_path / "heir").best is not None
    assert place(tmp_path / "heir").best.step >= 9  # type: ignore[union-attr]  # the donor's best is not there
    # Started again, it goes on from its own.
    before = newest(tmp_path / "heir")
    assert run(TASK, heir, manifest, tmp_path / "heir", resume_from=donor) == []
    assert newest(tmp_path / "heir") == before


def test_an_attempt_that_was_given_up_writes_no_more(manifest: Manifest, tmp_path: Path) -> None:
    """A node that was cut off from the others is replaced, and may see the same folder."""

    def taken_over() -> Request:
        Fence(tmp_path / "run")
        return Request.SAVE

    with pytest.raises(GivenUpError, match=r"another attempt of this run has begun; this one ends itself"):
        run(TASK, recipe(), manifest, tmp_path / "run", asked=taken_over)
    assert checkpoints(tmp_path / "run" / "checkpoints") == []


# --- phases -------------------------------------------------------------------------------------------------------


def test_phases_end_where_nothing_gets_better_and_a_run_that_ended_so_is_not_done_again(tmp_path: Path) -> None:
    manifest = written(tmp_path / "shards", {"train": range(32), "val": range(32, 52)}, read=hidden)
    # A rate this small leaves the weights alone; a score may still change with the running statistics.
    still = [{"optimizer": name, "num_epochs": 9, "lr": 1e-12, "patience": 2} for name in ("adamw", "sgd")]
    frozen = task_of(model={**MODEL, "mixer": "none"})
    scores = run(frozen, recipe_of(*still), manifest, tmp_path / "run")
    gains = [index for index, score in enumerate(scores) if score > max(scores[:index], default=-1.0)]
    stands = place(tmp_path / "run")
    assert stands.phase == 1
    assert stands.phase_start // 4 == gains[-1] + 1 + 2 < 9
    assert len(scores) == stands.phase_start // 4 + 2
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    assert run(frozen, recipe_of(*still), manifest, tmp_path / "run") == []
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_the_rate_that_is_logged_is_the_one_that_was_used(manifest: Manifest, tmp_path: Path) -> None:
    made = recipe_of(
        {"optimizer": "sgd", "num_epochs": 2, "lr": 0.1, "schedule": {"kind": "cosine"}},
        {"optimizer": "sgd", "num_epochs": 1, "lr": 0.2, "schedule": {"kind": "constant", "warmup_epochs": 1}},
        log_every_steps=1,
    )
    run(TASK, made, manifest, tmp_path / "run")
    found = [row["train/lr"] for row in rows(tmp_path / "run") if "train/lr" in row]
    cosine = [0.1 * share for share in (1, 0.933012702, 0.75, 0.5, 0.25, 0.0669872981)]
    assert found == pytest.approx([*cosine, 0, 0.2 / 3, 0.4 / 3])
    optimizer = torch.load(newest(tmp_path / "run") / "optimizer.pt", weights_only=True)
    assert optimizer["param_groups"][0]["lr"] == found[-1]


def test_an_average_is_what_is_evaluated_and_what_the_next_phase_starts_from(
    manifest: Manifest, tmp_path: Path
) -> None:
    # The second phase does not move: its average stays what it started from, and so does its score.
    made = recipe_of(
        {"optimizer": "adamw", "num_epochs": 2, "lr": 0.01},
        {"optimizer": "sgd", "num_epochs": 1, "lr": 1e-30, "momentum": 0.0},
        ema_decay=0.99,
    )
    frozen = task_of(model={**MODEL, "mixer": "none"})
    with pytest.raises(Stopped):
        run(frozen, made, manifest, tmp_path / "run", stop_after=2)
    first = newest(tmp_path / "run")
    assert (first / AVERAGE).read_bytes() != (first / WEIGHTS).read_bytes()
    run(frozen, made, manifest, tmp_path / "run")
    best = safetensors.torch.load_file(first / AVERAGE)
    for name in (WEIGHTS, AVERAGE):
        found = safetensors.torch.load_file(newest(tmp_path / "run") / name)
        learnt = [key for key in best if key.endswith(("weight", "bias"))]
        assert all(torch.equal(found[key], best[key]) for key in learnt)


def test_a_score_that_is_no_number_stops_the_run(manifest: Manifest, tmp_path: Path) -> None:
    scoreless: Any = Changed(TASK, summary=lambda _tallies: {"top1": float("nan")})
    with pytest.raises(TrainingError, match=r"eval/top1 is nan at step 3, and ranks no checkpoint"):
        run(scoreless, recipe(), manifest, tmp_path / "run")


def test_fp16_that_leaves_out_every_step_stops_the_run_and_says_what_to_do(manifest: Manifest, tmp_path: Path) -> None:
    steep: Any = Changed(TASK, loss=lambda prediction, batch: TASK.loss(prediction, batch) * 1e38)
    said = r"not finite in 3 steps in a row.*; or set recipe.precision to bf16 or fp32"
    with pytest.raises(TrainingError, match=said):
        run(steep, recipe(precision="fp16", epochs=(20, 1)), manifest, tmp_path / "run")
    scales = [row["train/loss_scale"] for row in rows(tmp_path / "run") if "train/loss_scale" in row]
    assert scales[0] == 2.0 ** (16 - 3)


# --- exported -----------------------------------------------------------------------------------------------------


@pytest.fixture
def exported(manifest: Manifest, tmp_path: Path) -> Path:
    run(TASK, recipe(), manifest, tmp_path / "run")
    data = {"name": "shades", "manifest_sha256": manifest.sha256}
    info = {"task": SECTION, "classes": ["dark", "bright"], "data": data}
    save_trained(tmp_path / "out", newest(tmp_path / "run") / WEIGHTS, info)
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
    other = written(tmp_path / "other", {"train": [0, 1], "val": [2], "test": [3]}, name="other")
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
