"""A sweep's own memory: which runs it has, with what was drawn for each and how it ended; and its results.

The runs themselves are ordinary ones with a run key each. It starts nothing, and knows no Ray.
"""

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from wavemix.config import Experiment, Params, Sweep, changed_experiment, to_yaml
from wavemix.errors import TrainingError
from wavemix.files import write_aside
from wavemix.launch.plan import Planned, plan
from wavemix.launch.sweeps.draw import Values
from wavemix.tasks import Goal
from wavemix.tracking.mlflow import Tracked
from wavemix.training.state import Best

LATER = {"num_trials", "workers_per_trial", "max_concurrent", "max_hours"}
"""Of a sweep's section what may be changed to go on with it."""


@dataclass(frozen=True)
class Shared:
    """What all trials of a sweep have in common. ``folder`` is the sweep's, ``params`` those of a trial."""

    params: Params
    name: str
    base: Experiment
    goal: Goal
    folder: Path
    parent: Tracked


@dataclass(frozen=True)
class Entry:
    """A run of a sweep. ``ended`` is empty while a trial works on it, or will go on with it."""

    run_key: str
    trial: str  # Tune's name of the trial that worked on it last
    started: float  # seconds since 1970
    values: Values
    resume_from: str | None = None  # the checkpoint of another run that it began with
    ended: Literal["", "stopped", "failed"] = ""
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    """An entry, and what its run reached by now. A run that failed has no score, whatever it was before."""

    entry: Entry
    planned: Planned
    status: Literal["finished", "stopped early", "failed"]
    best: Best | None
    step: int


def sweep_key(sweep: Sweep, base: Planned) -> str:
    """16 hex digits; another sweep where its section, its experiment, data or code is another."""
    what = {"sweep": sweep.model_dump(mode="json", exclude=LATER), "base": base.run_key}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def write_entry(folder: Path, entry: Entry) -> None:
    write_aside(folder / "entries" / f"{entry.run_key}.json", (json.dumps(asdict(entry), indent=1) + "\n").encode())


def read_entries(folder: Path) -> list[Entry]:
    """All entries, the oldest first."""
    entries = [Entry(**json.loads(path.read_text())) for path in (folder / "entries").glob("*.json")]
    return sorted(entries, key=lambda entry: (entry.started, entry.run_key))


def begin_entry(folder: Path, entry: Entry) -> None:
    """Note that a trial works on a run now. A run that it leaves for this one has ended; one that it goes on with began
    when it first did."""
    for other in read_entries(folder):
        if other.run_key == entry.run_key:
            entry = replace(entry, started=other.started)
        elif other.trial == entry.trial and not other.ended:
            write_entry(folder, replace(other, ended="stopped"))
    write_entry(folder, entry)


def end_entry(folder: Path, trial: str, ended: Literal["stopped", "failed"], error: str = "") -> None:
    """Note that a trial has ended, and so has the run that it worked on."""
    for entry in read_entries(folder):
        if entry.trial == trial and not entry.ended:
            write_entry(folder, replace(entry, ended=ended, error=error))


def seconds_spent(folder: Path) -> float:
    """How long the sweep has run so far, over all of its starts."""
    path = folder / "spent.json"
    return float(json.loads(path.read_text())["seconds"]) if path.exists() else 0.0


def add_seconds(folder: Path, seconds: float) -> None:
    write_aside(folder / "spent.json", json.dumps({"seconds": seconds_spent(folder) + seconds}).encode())


def outcome_of(entry: Entry, params: Params, name: str, base: Experiment) -> Outcome:
    planned = plan(params, name, changed_experiment(base, entry.values, f"sweeps.{name}.space"))
    # What it began with may be gone by now.
    planned = replace(planned, run_key=entry.run_key, run_dir=planned.run_dir.with_name(entry.run_key))
    place = planned.place()
    finished = planned.is_finished()
    failed = entry.ended == "failed" and not finished
    return Outcome(
        entry,
        planned,
        "finished" if finished else "failed" if failed else "stopped early",
        None if failed or place is None else place.best,
        place.step if place else 0,
    )


def is_open(outcome: Outcome) -> bool:
    """Whether running the sweep again goes on with this run."""
    return outcome.status != "finished" and outcome.entry.ended != "stopped"


def ranked(outcomes: Sequence[Outcome], goal: Goal) -> list[Outcome]:
    """The best first, those without a score last."""
    sign = -1 if goal.better == "max" else 1
    return sorted(outcomes, key=lambda one: (one.best is None, sign * one.best.score if one.best else 0.0))


def write_results(folder: Path, sweep: Sweep, outcomes: Sequence[Outcome]) -> None:
    """Write ``trials.csv`` and ``best.yaml``, the overrides that repeat the best trial.

    Args:
        folder: Of the results.
        sweep: The sweep.
        outcomes: The best first.

    Raises:
        TrainingError: None of them has a score.
    """
    best = outcomes[0] if outcomes else None
    if best is None or best.best is None:
        why = next((f", the first: {one.entry.error}" for one in outcomes if one.entry.error), "")
        raise TrainingError(f"no trial of {len(outcomes)} has a score{why}")
    write_aside(folder / "trials.csv", _csv(outcomes, list(sweep.space)))
    overrides = {
        f"experiments.{sweep.experiment}.{leaf}": value
        for leaf, value in {**sweep.overrides, **best.entry.values}.items()
    }
    schedule = (
        "# The last values of a population's best member, which had others before:\n"
        f"# they do not repeat it. Its weights are in {best.planned.checkpoints.name} of run {best.planned.run_key}.\n"
    )
    write_aside(folder / "best.yaml", (schedule.encode() if best.entry.resume_from else b"") + to_yaml(overrides))


def _csv(outcomes: Sequence[Outcome], leaves: Sequence[str]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["trial", "status", "score", "step", "epochs", "from", *leaves])
    for one in outcomes:
        rows.writerow(
            [
                one.planned.run_key,
                one.status,
                one.best.score if one.best else "",
                one.best.step if one.best else "",
                round(one.step / one.planned.steps_per_epoch, 2),
                Path(one.entry.resume_from).parent.name if one.entry.resume_from else "",
                *(one.entry.values[leaf] for leaf in leaves),
            ]
        )
    return text.getvalue().encode()
