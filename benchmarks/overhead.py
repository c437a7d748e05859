"""A step under Ray Train beside the same loop under torchrun, the time until the first ones, and a second rank.

All sides are the commands of a user. They are alive at the same time and step in turns of some seconds, the others
frozen, so that a disturbance of the machine falls on all of them alike. A step's time is what the clock of the run
itself counts: waiting for input, computing and exchanging, without evaluation and checkpoints.

    python -m benchmarks.overhead [--rounds N] [--experiment NAME ...]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

from benchmarks._harness import Row, compared, publish
from benchmarks._progress import Progress
from benchmarks._runs import ROOT, Training, Watch, freeze, kill_tree, thaw
from wavemix.config import load_params

GOAL = 1 / 1.03
"""A step under Ray may take 1.03 times as long."""

PARTS = ("time/input", "time/compute", "time/communication")
EVERY = 5
"""Steps between two rows of the log."""

SIDES: dict[str, tuple[int, tuple[str, ...]]] = {
    "Ray": (0, ()),
    "torchrun": (2, ()),
    "Ray, one worker": (0, ("launch.num_workers=1",)),
    "torchrun, one rank": (1, ()),
    "another": (1, ()),
}
"""Ranks of torchrun (0: Ray), and changes of params.yaml."""

ONE, OTHER = "torchrun, one rank", "another"
BOTH = "two trainings at once"
TURNS: dict[str, tuple[str, ...]] = {side: (side,) for side in SIDES if side != OTHER} | {BOTH: (ONE, OTHER)}
"""Who steps at the same time."""

TURN_SECONDS = 4.0
TURNS_A_ROUND = 6
SETTLE_SECONDS = 10.0
"""After its first steps a Ray on few cores still starts processes of its own."""


class Side:
    """A training that is frozen but for its turns."""

    def __init__(self, training: Training, torchrun: int, changes: Sequence[str]) -> None:
        began = time.time()
        self.process = training.start(*changes, torchrun=torchrun)
        self._watch = Watch(training)
        self._watch.until(lambda: bool(self._watch.seen), self.process)
        self.seconds_to_first_steps = self._watch.seen[0]["time"] - began
        time.sleep(SETTLE_SECONDS)
        freeze(self.process)

    def steps_between(self, start: float, end: float) -> list[float]:
        """Seconds per step, of each row that was measured within these times."""
        self._watch.look()
        rows = [row for row in self._watch.seen if "train/loss" in row]
        return [
            sum(row[part] for part in PARTS) / (row["step"] - before["step"])
            for before, row in pairwise(rows)
            if start < before["time"] and row["time"] < end
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--experiment", nargs="+", default=["photographs_x2", "digits"], metavar="NAME")
    arguments = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    work = [15.0] * len(SIDES) + [TURN_SECONDS * TURNS_A_ROUND * len(TURNS)]
    progress = Progress(dict.fromkeys(arguments.experiment, work * arguments.rounds))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="wavemix-overhead-") as scratch:
        for name in arguments.experiment:
            rows += measured(name, Path(scratch), arguments.rounds, progress)
    progress.end()
    notes = [
        f"{arguments.rounds} rounds, each of {TURNS_A_ROUND} turns of {TURN_SECONDS:g} s a side; medians over rows of "
        f"{EVERY} steps; the first steps: from the command to the row of step {EVERY}, medians over rounds",
        "two ranks share the batch that one rank does alone: the ideal is twice the rate; two trainings of one rank at "
        "once, which exchange nothing, are what this machine gives",
    ]
    publish("overhead", rows, notes, save=len(arguments.experiment) > 1)


def measured(name: str, scratch: Path, rounds: int, progress: Progress) -> list[Row]:
    """The rows of one experiment."""
    shards = scratch / "shards"
    experiment = load_params(ROOT / "params.yaml").experiments[name]
    prepare = [sys.executable, "-m", "pipelines.prepare", experiment.data, "--set", f"storage.shards={shards}"]
    subprocess.run(prepare, cwd=ROOT, check=True)
    recipe = f"experiments.{name}.recipe"
    endless = (f"{recipe}.log_every_steps={EVERY}", f"{recipe}.phases.0.num_epochs=9999")
    changes = (*endless, f"{recipe}.eval_every_epochs=9999")
    steps: dict[str, list[float]] = {turn: [] for turn in TURNS}
    starts: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(rounds):
        folder = scratch / name / str(number)
        with ExitStack() as ends:
            sides = {}
            for side, (ranks, more) in SIDES.items():
                progress.phase(name, f"{side} starts, round {number + 1}")
                training = Training(name, folder / side, shards, changes)
                sides[side] = ends.enter_context(started(training, ranks, more))
                starts[side].append(sides[side].seconds_to_first_steps)
            progress.phase(name, f"all step in turns, round {number + 1}")
            for _ in range(TURNS_A_ROUND):
                for turn, members in TURNS.items():
                    start = time.time()
                    with stepping([sides[side] for side in members]):
                        time.sleep(TURN_SECONDS)
                    steps[turn] += [step for side in members for step in sides[side].steps_between(start, time.time())]
    step = {turn: 1e3 * statistics.median(found) for turn, found in steps.items()}
    start = {side: statistics.median(found) for side, found in starts.items()}
    batch = 1e3 * experiment.recipe.global_batch
    alone = batch / step[ONE]
    return [
        compared(f"{name}: a step, Ray / torchrun", step["Ray"], "ms", step["torchrun"], goal=GOAL),
        compared(f"{name}: a step of one, Ray / torchrun", step["Ray, one worker"], "ms", step[ONE], goal=GOAL),
        compared(f"{name}: the first {EVERY} steps, Ray / torchrun", start["Ray"], "s", start["torchrun"]),
        compared(f"{name}: two ranks / one", batch / step["torchrun"], "samples/s", alone, more_is_better=True),
        compared(f"{name}: {BOTH} / one", 2 * batch / step[BOTH], "samples/s", alone, more_is_better=True),
    ]


@contextmanager
def started(training: Training, ranks: int, changes: Sequence[str]) -> Iterator[Side]:
    """A side at its first steps, killed at the end."""
    side = Side(training, ranks, changes)
    try:
        yield side
    finally:
        kill_tree(side.process)


@contextmanager
def stepping(sides: Sequence[Side]) -> Iterator[None]:
    """Let these step while the block runs."""
    for side in sides:
        thaw(side.process)
    try:
        yield
    finally:
        for side in sides:
            freeze(side.process)


if __name__ == "__main__":
    main()
