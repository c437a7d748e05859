"""A run's evaluations as they come to lie on disk. It knows no launcher: whatever wrote them, the files are alike."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from wavemix.launch.plan import Planned
from wavemix.tasks import Goal
from wavemix.tracking import Follower
from wavemix.training.checkpoint import checkpoints


class Evaluation(NamedTuple):
    step: int
    epoch: float  # epochs done
    score: float
    best: float  # of this one and those before


_, EPOCH, SCORE, BEST = Evaluation._fields


class Evaluations:
    """Follows a run from its start, whatever was interrupted: each evaluation comes once, as soon as a whole checkpoint
    covers it. (What comes after the newest checkpoint may be done again.)
    """

    def __init__(self, planned: Planned, goal: Goal) -> None:
        self._planned, self._goal = planned, goal
        self._follower = Follower(planned.run_dir / "metrics.jsonl")
        self._waiting: dict[int, float] = {}  # scores by step
        self._last_step = 0
        self._best: float | None = None

    def new(self) -> Iterator[Evaluation]:
        key = f"eval/{self._goal.metric}"
        for row in self._follower.new_rows():
            if key in row and row["step"] > self._last_step:
                self._waiting[row["step"]] = row[key]
        if not self._waiting:
            return
        steps = [step_of(folder) for folder in checkpoints(self._planned.checkpoints)]
        for step in sorted(step for step in self._waiting if step <= max(steps, default=0)):
            score = self._waiting.pop(step)
            if self._best is None or self._goal.is_better(score, self._best):
                self._best = score
            self._last_step = step
            yield Evaluation(step, step / self._planned.steps_per_epoch, score, self._best)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-"))
