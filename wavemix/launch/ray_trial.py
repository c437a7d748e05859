"""One trial of a sweep, in the process that Ray Tune gives it: an ordinary run under Ray Train, whose evaluations it
tells Tune. What is drawn, and which trial ends early, is decided elsewhere.

Tune hears of an evaluation once a checkpoint covers it, so that a trial which it ends can be gone on with; and a trial
that goes on tells again what its run has done, so that Tune judges it as if it had never been interrupted.
"""

import json
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavemix.config import Experiment, Params, changed_experiment
from wavemix.errors import CheckpointError
from wavemix.launch import ray_train
from wavemix.launch.draw import Values
from wavemix.launch.evaluations import Evaluations
from wavemix.launch.experiment import Planned, job_of, plan, prepare_start, tracked_run
from wavemix.launch.handover import set_aside
from wavemix.launch.record import recorded
from wavemix.launch.sweep import Entry, begin_entry, end_entry
from wavemix.tasks import Goal
from wavemix.tracking.mlflow import Tracked
from wavemix.training.checkpoint import checkpoints

LOOK_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class Shared:
    """What all trials of a sweep have in common. ``folder`` is the sweep's, ``params`` those of a trial."""

    params: Params
    name: str
    base: Experiment
    goal: Goal
    folder: Path
    parent: Tracked
    hand_over_every: int | None  # epochs; None where no trial goes on from another one's checkpoint


def encoded(values: Values) -> Values:
    """Tune reads a dot in a name as nesting, so paths travel through it with colons."""
    return {leaf.replace(".", ":"): value for leaf, value in values.items()}


def decoded(values: Values) -> Values:
    return {leaf.replace(":", "."): value for leaf, value in values.items()}


def run_trial(config: Mapping[str, Any], shared: Shared) -> None:
    """Train, or go on, and tell Tune every evaluation; note an error, and raise it.

    Args:
        config: Its ``start`` has ``values``, by encoded paths, and may have ``resume_from``, another run's checkpoint.
        shared: What is the same for all trials.
    """
    from ray import tune  # noqa: PLC0415

    trial = tune.get_context().get_trial_id()
    try:
        start = config["start"]
        values, resume_from = decoded(start["values"]), _resume_from(start.get("resume_from"), trial)
        experiment = changed_experiment(shared.base, values, f"sweeps.{shared.name}.space")
        planned = plan(shared.params, shared.name, experiment, resume_from=resume_from)
        entry = Entry(planned.run_key, trial, time.time(), values, str(resume_from) if resume_from else None)
        begin_entry(shared.folder, entry)
        _run(planned, entry, shared)
    except Exception as error:
        end_entry(shared.folder, trial, "failed", " ".join(f"{type(error).__name__}: {error}".split()))
        raise


def _run(planned: Planned, entry: Entry, shared: Shared) -> None:
    tell = _teller(planned, entry, shared)
    if not planned.is_finished():
        prepare_start(planned)
        tracked = tracked_run(planned, shared.params, parent=shared.parent)
        with recorded(tracked, planned.run_dir, shared.params.tracking):
            job, settings = job_of(planned, shared.params), shared.params.launch
            training = _in_background(lambda: ray_train.fit(job, settings, callbacks=[]))
            while not training.done():
                wait_for([training], LOOK_EVERY_SECONDS)
                tell()
            training.result()
    tell()


def _teller(planned: Planned, entry: Entry, shared: Shared) -> Callable[[], None]:
    """A callable that tells Tune of new evaluations. It does not return from one by which Tune ends the trial.

    Where trials hand over, a checkpoint is set aside for it every so many epochs, and Tune is given a note of the last.
    """
    from ray import tune  # noqa: PLC0415

    evaluations, every = Evaluations(planned, shared.goal), shared.hand_over_every
    aside: tuple[float, Path] | None = None

    def tell() -> None:
        nonlocal aside
        for one in evaluations.new():
            if every and one.epoch - (aside[0] if aside else 0) >= every:
                root = shared.folder / "handed" / planned.run_key
                aside = one.epoch, set_aside(checkpoints(planned.checkpoints)[-1], root)
            if aside is None:
                tune.report(one._asdict())
                continue
            with tempfile.TemporaryDirectory() as scratch:
                note = {"trial": entry.trial, "began_with": entry.resume_from, "checkpoint": str(aside[1])}
                (Path(scratch) / "note.json").write_text(json.dumps(note))
                tune.report(one._asdict(), checkpoint=tune.Checkpoint.from_directory(scratch))

    return tell


def _resume_from(given: str | None, trial: str) -> Path | None:
    """The other run's checkpoint that the trial's run begins with.

    Tune hands over the last note: of this trial, if it was only paused, or of one that it is to go on from.
    """
    from ray import tune  # noqa: PLC0415

    if handed := tune.get_checkpoint():
        with handed.as_directory() as folder:
            note = json.loads((Path(folder) / "note.json").read_text())
        given = note["began_with"] if note["trial"] == trial else note["checkpoint"]
    if given and not Path(given).exists():
        raise CheckpointError(f"{given}: the checkpoint to go on from is gone")
    return Path(given) if given else None


def _in_background(call: Callable[[], None]) -> Future[None]:
    """A daemon thread, unlike an executor's: a trial that is ended early must not wait for it."""
    future: Future[None] = Future()

    def work() -> None:
        try:
            call()
            future.set_result(None)
        except BaseException as error:  # told to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=work, name="training", daemon=True).start()
    return future
