"""What samplers and schedulers are told of a sweep's earlier starts, without a Ray that runs."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wavemix.config import Sweep
from wavemix.launch.plan import plan
from wavemix.launch.sweeps.ray_search import build_scheduler, left_of, optuna_search, random_search
from wavemix.launch.sweeps.sweep import Entry, Outcome
from wavemix.tasks import Goal
from wavemix.tracking import JsonLines
from wavemix.training.state import Best

pytestmark = pytest.mark.filterwarnings("default")  # what Ray and Optuna warn of in this process is theirs

LR = "recipe.phases.0.lr"
GOAL = Goal("top1", "max")


def sweep_of(**changes: Any) -> Sweep:
    section = {"experiment": "shades", "num_trials": 4, "workers_per_trial": 1, "space": {LR: {"uniform": (0.0, 1.0)}}}
    return Sweep.model_validate({**section, **changes})


@pytest.fixture
def outcome_of(params_of: Any, tmp_path: Path) -> Any:
    """A run with these scores, epoch by epoch, as it would lie on disk."""
    params = params_of()
    planned = plan(params, "s", params.experiments["shades"])

    def make(key: str, rate: float, scores: list[float], *, ended: Any = "stopped") -> Outcome:
        made = replace(planned, run_key=key, run_dir=tmp_path / "runs" / key)
        lines = JsonLines(made.run_dir / "metrics.jsonl", last_step=0)
        for epoch, score in enumerate(scores, start=1):
            lines.write({"step": epoch * made.steps_per_epoch, "time": 0.0, "eval/top1": score})
            (made.checkpoints / f"step-{epoch * made.steps_per_epoch:08d}").mkdir(parents=True)
        entry = Entry(key, f"trial-{key}", 1.0, {LR: rate}, None, ended)
        step = len(scores) * made.steps_per_epoch
        return Outcome(entry, made, "stopped early", Best(max(scores), step, step), step)

    return make


def test_asha_judges_by_the_trials_of_earlier_starts(outcome_of: Any) -> None:
    sweep = sweep_of(scheduler={"kind": "asha", "grace_epochs": 2, "reduction_factor": 2})
    ended = [outcome_of("a", 0.1, [0.5, 0.6, 0.7, 0.9]), outcome_of("b", 0.2, [0.4, 0.5])]

    def verdicts(known: list[Outcome], score: float) -> list[str]:
        scheduler = build_scheduler(sweep, GOAL, 8, known, has_room=True)
        trial = SimpleNamespace(trial_id="new")
        scheduler.on_trial_add(None, trial)
        reports = [{"epoch": float(epoch), "best": score, "score": score} for epoch in (1, 2, 3, 4)]
        return [scheduler.on_trial_result(None, trial, report) for report in reports]

    assert verdicts(ended, 0.54)[:2] == ["CONTINUE", "STOP"]  # at the second epoch they had 0.6 and 0.5
    assert verdicts(ended, 0.8) == ["CONTINUE", "CONTINUE", "CONTINUE", "STOP"]  # at the fourth, 0.9
    assert verdicts(ended, 0.95) == ["CONTINUE"] * 4
    assert verdicts([], 0.1) == ["CONTINUE"] * 4


def test_optuna_starts_with_what_was_open_and_knows_the_scores_of_what_ended(outcome_of: Any) -> None:
    sweep = sweep_of(sampler="optuna", num_trials=30)
    ended = [outcome_of(f"e{n}", n / 20, [1 - abs(n / 20 - 0.3)]) for n in range(20)]
    left = left_of(sweep, [outcome_of("open", 0.77, [0.1], ended=""), *ended])
    assert left.num_trials == 10
    arguments = optuna_search(sweep, left, GOAL)
    assert arguments["num_samples"] == 10
    (name,) = [leaf.replace(".", ":") for leaf in sweep.space]
    drawn = [arguments["search_alg"].suggest(f"t{n}")["start"]["values"][name] for n in range(8)]
    assert drawn[0] == 0.77
    assert sum(0.15 < value < 0.45 for value in drawn[1:]) >= 5  # it has learnt where the best ones are


def test_optuna_does_not_draw_the_same_again_at_another_start(outcome_of: Any) -> None:
    sweep = sweep_of(sampler="optuna")

    def first(outcomes: list[Outcome]) -> Any:
        return optuna_search(sweep, left_of(sweep, outcomes), GOAL)["search_alg"].suggest("t")

    assert first([]) == first([])
    assert first([]) != first([outcome_of("a", 0.5, [0.5])])


def test_random_starts_are_the_open_runs_and_the_rest_of_the_draws(outcome_of: Any) -> None:
    sweep = sweep_of()
    drawn = starts(sweep, [])
    assert len(drawn) == 4
    ended, cut_off = outcome_of("a", drawn[0], [0.5]), outcome_of("b", drawn[2], [0.5], ended="")
    failed = outcome_of("c", drawn[3], [0.5], ended="failed")
    assert starts(sweep, [ended, cut_off, failed]) == [drawn[2], drawn[3], drawn[1]]
    more = sweep_of(num_trials=5)
    assert starts(more, [ended, cut_off, failed])[:3] == [drawn[2], drawn[3], drawn[1]]
    assert len(starts(more, [ended, cut_off, failed])) == 4


def test_a_member_of_a_population_goes_on_with_its_last_run(outcome_of: Any) -> None:
    sweep = sweep_of(num_trials=2, scheduler={"kind": "pbt", "every_epochs": 2})
    first, second = starts(sweep, [])
    left_behind = outcome_of("a", first, [0.1])
    taken = outcome_of("c", 0.4, [0.6], ended="")
    taken = replace(taken, entry=replace(taken.entry, resume_from="handed/b/step-00000004"))
    found = random_search(sweep, left_of(sweep, [outcome_of("b", second, [0.5], ended=""), taken, left_behind]))
    made = [(*one["values"].values(), one["resume_from"]) for one in found["config"]["start"]["grid_search"]]
    assert made == [(second, None), (0.4, "handed/b/step-00000004")]


def starts(sweep: Sweep, found: list[Outcome]) -> list[float]:
    config = random_search(sweep, left_of(sweep, found))["config"]
    return [value for start in config["start"]["grid_search"] for value in start["values"].values()]
