"""How far a training is, as told where there is no terminal."""

import json
from pathlib import Path
from typing import Any

import pytest

from wavemix.launch.progress import watched
from wavemix.tracking import note_fault


def write(metrics: Path, *rows: dict[str, Any]) -> None:
    with metrics.open("a") as file:
        file.writelines(json.dumps({"time": 0.0, **row}) + "\n" for row in rows)


def trained(step: int) -> dict[str, Any]:
    return {"step": step, "train/loss": 0.5, "train/samples_per_second": 80.0}


def test_the_last_row_is_told_with_loss_and_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = tmp_path / "metrics.jsonl"
    with watched("digits", tmp_path, most_steps=20):
        write(metrics, trained(10), trained(20), {"step": 20, "eval/top1": 0.9})
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith("digits: 20/20 (100 %)  loss 0.5000  top1 0.9000  80 samples/s")
    )


def test_what_a_continued_run_did_before_is_not_told_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = tmp_path / "metrics.jsonl"
    write(metrics, trained(10), trained(20))
    with watched("digits", tmp_path, most_steps=40):
        pass
    assert capsys.readouterr().err == ""
    with watched("digits", tmp_path, most_steps=40):
        write(metrics, trained(15))  # it goes on from a checkpoint before its last row
    assert capsys.readouterr().err.startswith("digits: 15/40 (37 %)")


def test_what_befalls_a_training_is_told_when_it_happens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note_fault(tmp_path, "failed", "worker 1 failed before", rank=1)
    with watched("digits", tmp_path, most_steps=40):
        note_fault(tmp_path, "failed", "worker 1 failed: it was killed", rank=1)
    assert capsys.readouterr().err == "digits: worker 1 failed: it was killed\n"
