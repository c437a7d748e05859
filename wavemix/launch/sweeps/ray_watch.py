"""What Ray Tune's trials are noted and shown by, and when a sweep's time is over. It decides nothing about a trial.

Imported once Ray's settings are made: Ray reads them when it is imported.
"""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.tune import Callback, Stopper

from wavemix.launch.progress import Show
from wavemix.launch.sweeps.evaluations import BEST, EPOCH
from wavemix.launch.sweeps.sweep import add_seconds, end_entry
from wavemix.tasks import Goal

NOTE_EVERY_SECONDS = 10.0


class Deadline(Stopper):  # type: ignore[misc]
    """Ends all trials when the sweep's time is over."""

    def __init__(self, seconds: float | None) -> None:
        self._until = time.monotonic() + seconds if seconds else math.inf

    def __call__(self, _trial_id: str, _result: Mapping[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return time.monotonic() >= self._until


class Watch(Callback):  # type: ignore[misc]
    """Notes how each trial ended, and how long the sweep takes; shows how far it is.

    Args:
        folder: The sweep's.
        deadline: A trial that it ends may go on when the sweep is given more time.
        goal: What ranks trials.
        epochs: Of a trial that is not ended early.
        done: Trials that had ended before.
        best: Their best score.
        show: See ``progress.bar``, in epochs; those that an early end saves count as done.
    """

    def __init__(
        self,
        folder: Path,
        deadline: Deadline,
        goal: Goal,
        *,
        epochs: int,
        done: int,
        best: float | None,
        show: Show,
    ) -> None:
        self._folder, self._deadline, self._goal, self._show = folder, deadline, goal, show
        self._most, self._done, self._best = epochs, done, best
        self._epochs: dict[str, float] = {}  # of the trials that run, by Tune's name
        self._noted = time.monotonic()

    def on_trial_start(self, *, trial: Any, **_: Any) -> None:
        self._epochs.setdefault(trial.trial_id, 0.0)

    def on_trial_result(self, *, trial: Any, result: Mapping[str, Any], **_: Any) -> None:
        before = self._epochs.get(trial.trial_id, 0.0)
        self._epochs[trial.trial_id] = max(before, result[EPOCH])  # one that goes on tells again what it has done
        if self._best is None or self._goal.is_better(result[BEST], self._best):
            self._best = result[BEST]
        self._tell()

    def on_trial_complete(self, *, trial: Any, **_: Any) -> None:
        if not self._deadline.stop_all():
            end_entry(self._folder, trial.trial_id, "stopped")
        self._ended(trial)

    def on_trial_error(self, *, trial: Any, **_: Any) -> None:
        end_entry(self._folder, trial.trial_id, "failed", "its process ended without a word")  # else it has noted why
        self._ended(trial)

    def on_step_end(self, **_: Any) -> None:
        if (now := time.monotonic()) - self._noted >= NOTE_EVERY_SECONDS:
            add_seconds(self._folder, now - self._noted)
            self._noted = now

    def _ended(self, trial: Any) -> None:
        self._epochs.pop(trial.trial_id, None)
        self._done += 1
        self._tell()

    def _tell(self) -> None:
        epochs = self._done * self._most + sum(self._epochs.values())
        best = "" if self._best is None else f"  best {self._goal.metric} {self._best:.4f}"
        self._show(int(epochs), f"{self._done} trials done, {len(self._epochs)} running{best}", not self._epochs)
