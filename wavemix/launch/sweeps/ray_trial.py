"""One trial of a sweep, in the process that Ray Tune gives it: an ordinary run under Ray Train, whose evaluations it
tells Tune. What is drawn, and which trial ends early, is decided elsewhere.

Tune hears of an evaluation once a checkpoint covers it, so that a trial which it ends can be gone on with; and a trial
that goes on tells again what its run has done, so that Tune judges it as if it had never been interrupted.

Imported once Ray's settings are made: Ray reads them when it is imported.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from pathlib import Path
from typing import Any

from ray.tune import Trainable

from wavemix.config import changed_experiment
from wavemix.errors import CheckpointError, StoppedError
from wavemix.launch import ray_train
from wavemix.launch.experiment import prepare_start
from wavemix.launch.plan import Planned, job_of, plan, tracked_run
from wavemix.launch.record import recorded
from wavemix.launch.stop import ask_to_stop
from wavemix.launch.sweeps.evaluations import Evaluation, Evaluations, step_of
from wavemix.launch.sweeps.handover import set_aside
from wavemix.launch.sweeps.ray_search import decoded
from wavemix.launch.sweeps.sweep import Entry, Shared, begin_entry, end_entry
from wavemix.training.checkpoint import checkpoints

LOOK_EVERY_SECONDS = 0.5
NOTE = "note.json"


class Trial(Trainable):  # type: ignore[misc]
    """A run, evaluation by evaluation. What Tune takes for its checkpoint is a note that names one of the run's own."""

    def setup(self, config: Mapping[str, Any], shared: Shared) -> None:
        start = config["start"]
        self._shared, self._values = shared, decoded(start["values"])
        self._resume_from: str | None = start.get("resume_from")
        self._training: Future[None] | None = None
        self._waiting: deque[Evaluation] = deque()
        self._last: Evaluation

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Take a note: of this trial, which was only paused, or of another one that its run is to go on from."""
        note = json.loads((Path(checkpoint_dir) / NOTE).read_text())
        self._resume_from = note["resume_from"] if note["trial"] == self.trial_id else note["checkpoint"]

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        found = checkpoints(self._planned.checkpoints)
        # Training does not wait for Tune: what Tune knows of may have been dropped, and the newest may be the end.
        told = [folder for folder in found if step_of(folder) <= self._last.step]
        aside = set_aside(told[-1] if told else found[0], self._shared.folder / "handed" / self._planned.run_key)
        note = {"trial": self.trial_id, "resume_from": self._resume_from, "checkpoint": str(aside)}
        (Path(checkpoint_dir) / NOTE).write_text(json.dumps(note))

    def step(self) -> dict[str, Any]:
        """Train to the next evaluation; note an error, and raise it."""
        try:
            return self._next_evaluation()
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            end_entry(self._shared.folder, self.trial_id, "failed", text)
            raise

    def cleanup(self) -> None:
        """Let the run save and stop by itself: when this process ends, Ray does not free what its workers had."""
        if self._training is not None:
            while not self._training.done():
                ask_to_stop(self._planned.run_dir)  # again and again: a training that only starts forgets it
                wait_for([self._training], LOOK_EVERY_SECONDS)

    def _next_evaluation(self) -> dict[str, Any]:
        if self._training is None:
            self._planned = self._plan()
            self._evaluations = Evaluations(self._planned, self._shared.goal)
            self._training = _in_background(self._train)
        ended = False
        while not self._waiting and not ended:
            ended = self._training.done()  # before it is looked what there is: then that is all
            self._waiting += self._evaluations.new()
            if not self._waiting and not ended:
                wait_for([self._training], LOOK_EVERY_SECONDS)
        if ended and not self._waiting:
            self._training.result()
        else:
            self._last = self._waiting.popleft()
        if self._last.step == self._planned.most_steps:
            wait_for([self._training])  # so that Tune learns with it that it was the last, and hands it to nobody
            ended = True
        return {**self._last._asdict(), "done": ended and not self._waiting}

    def _plan(self) -> Planned:
        shared, given = self._shared, Path(self._resume_from) if self._resume_from else None
        if given and not given.exists():
            raise CheckpointError(f"{given}: the checkpoint to go on from is gone")
        experiment = changed_experiment(shared.base, self._values, f"sweeps.{shared.name}.space")
        planned = plan(shared.params, shared.name, experiment, resume_from=given)
        entry = Entry(planned.run_key, self.trial_id, time.time(), self._values, self._resume_from)
        begin_entry(shared.folder, entry)
        return planned

    def _train(self) -> None:
        planned, params = self._planned, self._shared.params
        if planned.is_finished():
            return
        prepare_start(planned)
        tracked = tracked_run(planned, params, parent=self._shared.parent)
        with recorded(tracked, planned.run_dir, params.tracking):
            ray_train.fit(job_of(planned, params), params.launch)
            if not planned.is_finished():
                raise StoppedError("asked to stop before its end")


def _in_background(call: Callable[[], None]) -> Future[None]:
    """In a daemon thread, unlike an executor's: the process can end while it runs."""
    future: Future[None] = Future()

    def work() -> None:
        try:
            call()
            future.set_result(None)
        except BaseException as error:  # told to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=work, name="training", daemon=True).start()
    return future
