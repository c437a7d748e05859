"""What a sweep remembers of its runs, and what it makes of them: with runs trained here, and no Ray."""

import csv
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from wavemix.config import Params, Sweep, changed_experiment
from wavemix.errors import TrainingError
from wavemix.launch.experiment import train_watched
from wavemix.launch.plan import plan
from wavemix.launch.sweeps.evaluations import Evaluations
from wavemix.launch.sweeps.handover import set_aside
from wavemix.launch.sweeps.sweep import (
    Entry,
    Outcome,
    add_seconds,
    begin_entry,
    end_entry,
    outcome_of,
    ranked,
    read_entries,
    seconds_spent,
    sweep_key,
    write_entry,
    write_results,
)
from wavemix.tasks import Goal
from wavemix.tracking import read_rows
from wavemix.training.checkpoint import checkpoints, read_meta

LR = "recipe.phases.0.lr"
GOAL = Goal("top1", "max")


def sweep_of(**changes: Any) -> Sweep:
    section = {
        "experiment": "shades",
        "num_trials": 3,
        "workers_per_trial": 1,
        "space": {LR: {"log_uniform": (1e-9, 1e-1)}},
        **changes,
    }
    return Sweep.model_validate(section)


def train(params: Params, rate: float, *, resume_from: Path | None = None) -> Entry:
    """A run as a trial makes it."""
    base = params.experiments["shades"]
    planned = plan(params, "s", changed_experiment(base, {LR: rate}, "s"), resume_from=resume_from)
    train_watched(planned, params)
    return Entry(planned.run_key, f"trial-{rate}", 1.0, {LR: rate}, str(resume_from) if resume_from else None)


def outcomes(params: Params, *entries: Entry) -> list[Outcome]:
    return ranked([outcome_of(entry, params, "s", params.experiments["shades"]) for entry in entries], GOAL)


def test_entries_are_kept_in_the_order_in_which_their_runs_began(tmp_path: Path) -> None:
    first, second = Entry("b", "t0", 1.0, {LR: 0.1}), Entry("a", "t1", 2.0, {LR: 0.2}, "checkpoint")
    begin_entry(tmp_path, second)
    begin_entry(tmp_path, first)
    assert read_entries(tmp_path) == [first, second]
    again = replace(first, trial="t7", started=9.0)
    begin_entry(tmp_path, again)
    assert read_entries(tmp_path) == [replace(again, started=1.0), second]


def test_a_trial_that_begins_another_run_has_ended_its_last_one(tmp_path: Path) -> None:
    own, other = Entry("a", "t0", 1.0, {LR: 0.1}), Entry("b", "t1", 2.0, {LR: 0.2})
    for entry in (own, other, Entry("c", "t0", 3.0, {LR: 0.3}, "checkpoint")):
        begin_entry(tmp_path, entry)
    assert [entry.ended for entry in read_entries(tmp_path)] == ["stopped", "", ""]


def test_an_end_is_noted_once(tmp_path: Path) -> None:
    begin_entry(tmp_path, Entry("a", "t0", 1.0, {LR: 0.1}))
    end_entry(tmp_path, "t0", "failed", "TrainingError: it diverged")
    end_entry(tmp_path, "t0", "stopped")
    (entry,) = read_entries(tmp_path)
    assert (entry.ended, entry.error) == ("failed", "TrainingError: it diverged")


def test_the_time_of_all_starts_adds_up(tmp_path: Path) -> None:
    assert seconds_spent(tmp_path) == 0.0
    add_seconds(tmp_path, 1.5)
    add_seconds(tmp_path, 2.0)
    assert seconds_spent(tmp_path) == 3.5


def test_another_sweep_has_another_key_and_a_longer_one_has_not(params_of: Any) -> None:
    params = params_of()
    base = plan(params, "s", params.experiments["shades"])
    key = sweep_key(sweep_of(), base)
    for longer in ({"num_trials": 9}, {"max_hours": 2.0}, {"max_concurrent": 1}, {"workers_per_trial": 2}):
        assert sweep_key(sweep_of(**longer), base) == key
    for other in ({"seed": 1}, {"sampler": "optuna"}, {"space": {LR: {"uniform": (1e-9, 1e-1)}}}):
        assert sweep_key(sweep_of(**other), base) != key
    seeded = plan(params, "s", changed_experiment(params.experiments["shades"], {"seed": 1}, "s"))
    assert sweep_key(sweep_of(), seeded) != key


def test_results_are_ranked_and_the_best_can_be_repeated(params_of: Any, tmp_path: Path) -> None:
    params = params_of()
    slow, good = train(params, 1e-9), train(params, 0.01)
    stopped = replace(train(params, 1e-8), ended="stopped")
    newest = checkpoints(tmp_path / "runs" / stopped.run_key / "checkpoints")[-1]
    newest.rename(newest.with_name("cut-off"))
    failed = replace(slow, run_key="0" * 16, ended="failed", error="TrainingError: it diverged")
    scores = {slow.run_key: 0.7, good.run_key: 0.9, stopped.run_key: 0.8}  # these pictures are too easy for that
    found = [
        replace(one, best=one.best._replace(score=scores[one.entry.run_key])) if one.best else one
        for one in outcomes(params, failed, slow, stopped, good)
    ]
    write_results(tmp_path / "sweep", sweep_of(), ranked(found, GOAL))
    table = list(csv.DictReader(io.StringIO((tmp_path / "sweep" / "trials.csv").read_text())))
    shown = [(row["trial"], row["status"], row["score"], row["epochs"], row[LR]) for row in table]
    assert shown == [
        (good.run_key, "finished", "0.9", "2.0", "0.01"),
        (stopped.run_key, "stopped early", "0.8", "1.0", "1e-08"),
        (slow.run_key, "finished", "0.7", "2.0", "1e-09"),
        (failed.run_key, "failed", "", "0.0", "1e-09"),
    ]
    assert ranked(found, Goal("loss", "min"))[0].entry == slow
    assert yaml.safe_load((tmp_path / "sweep" / "best.yaml").read_text()) == {f"experiments.shades.{LR}": 0.01}


def test_a_sweep_without_any_score_says_why(params_of: Any, tmp_path: Path) -> None:
    failed = Entry("0" * 16, "t0", 1.0, {LR: 0.1}, None, "failed", "TrainingError: it diverged")
    with pytest.raises(TrainingError, match="no trial of 1 has a score, the first: TrainingError: it diverged"):
        write_results(tmp_path, sweep_of(), outcomes(params_of(), failed))


def test_an_evaluation_comes_once_its_checkpoint_is_there_and_once_only(params_of: Any) -> None:
    params = params_of(phases=({"optimizer": "adamw", "num_epochs": 4, "lr": 0.01},))
    train(params, 0.01)
    planned = plan(params, "s", params.experiments["shades"])
    newest = checkpoints(planned.checkpoints)[-1]
    newest.rename(newest.with_name("cut-off"))  # its number was written, the process died before its checkpoint
    followed = Evaluations(planned, GOAL)
    scores = [row["eval/top1"] for row in read_rows(planned.run_dir / "metrics.jsonl") if "eval/top1" in row]
    assert [tuple(one) for one in followed.new()] == [
        (2 * epoch, epoch, scores[epoch - 1], max(scores[:epoch])) for epoch in (1, 2, 3)
    ]
    train_watched(planned, params)  # writes the file anew
    assert [one.epoch for one in followed.new()] == [4]
    assert list(followed.new()) == []


def test_a_run_goes_on_from_a_checkpoint_set_aside_that_its_own_run_has_dropped(params_of: Any, tmp_path: Path) -> None:
    params = params_of(phases=({"optimizer": "adamw", "num_epochs": 4, "lr": 0.01},))
    base = params.experiments["shades"]
    two = params_of(phases=({"optimizer": "adamw", "num_epochs": 2, "lr": 0.01},))
    donor = train(two, 0.01)
    (*_, newest) = checkpoints(tmp_path / "runs" / donor.run_key / "checkpoints")
    aside = set_aside(newest, tmp_path / "handed" / donor.run_key)
    for old in checkpoints(newest.parent):
        old.rename(old.with_name(f"dropped-{old.name}"))
    taken = train(params, 0.001, resume_from=aside)
    fresh = plan(params, "s", changed_experiment(base, {LR: 0.001}, "s"))
    assert taken.run_key != fresh.run_key
    planned = replace(fresh, run_key=taken.run_key, run_dir=fresh.run_dir.with_name(taken.run_key))
    assert [one.epoch for one in Evaluations(planned, GOAL).new()] == [3, 4]
    assert read_meta(aside)["step"] == 4
    rates = {row["train/lr"] for row in read_rows(planned.run_dir / "metrics.jsonl") if "train/lr" in row}
    assert rates == {0.001}


def test_a_checkpoint_set_aside_is_dropped_when_it_is_old(tmp_path: Path) -> None:
    for step in range(3):
        made = tmp_path / "run" / f"step-{step:08d}"
        made.mkdir(parents=True)
        (made / "meta.json").write_text(str(step))
        aside = set_aside(made, tmp_path / "aside")
        assert (aside / "meta.json").read_text() == str(step)
        if step == 0:
            os.utime(aside, (0, 0))
    assert sorted(path.name for path in (tmp_path / "aside").iterdir()) == ["step-00000001", "step-00000002"]


def test_a_population_writes_that_its_last_values_are_not_the_whole_story(params_of: Any, tmp_path: Path) -> None:
    params = params_of()
    member = replace(train(params, 0.01), resume_from="/handed/0123/step-00000004")
    write_results(tmp_path, sweep_of(), outcomes(params, member))
    assert (tmp_path / "best.yaml").read_text().startswith("# The last values of a population's best member")
    assert ",0123," in (tmp_path / "trials.csv").read_text()


def test_write_entry_is_read_back(tmp_path: Path) -> None:
    entry = Entry("a", "t0", 1.0, {LR: 0.1, "task.model.dim": 8}, "somewhere", "failed", "why")
    write_entry(tmp_path, entry)
    assert read_entries(tmp_path) == [entry]
