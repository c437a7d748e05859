"""A step under Ray Train beside the same loop under torchrun, the time until the first ones, and a second rank.

Both sides are the commands of a user, in turns, each in a folder of its own. A step's time is what the clock of the run
itself counts: waiting for input, computing and exchanging, without evaluation and checkpoints.

    python -m benchmarks.overhead [--rounds N] [--experiment NAME]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._harness import Row, compared, publish
from benchmarks._progress import Progress
from benchmarks._runs import ROOT, Training
from wavemix.config import load_params

GOAL = 1 / 1.03
"""A step under Ray may take 1.03 times as long."""

PARTS = ("time/input", "time/compute", "time/communication")
EVERY = 5
"""Steps between two rows of the log."""

SIDES = {"ray": 0, "torchrun": 2, "one rank": 1}
"""Ranks of torchrun; 0 is Ray with two workers."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--experiment", nargs="+", default=["photographs_x2", "digits"], metavar="NAME")
    arguments = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    progress = Progress({name: [1.0] * (arguments.rounds * len(SIDES)) for name in arguments.experiment})
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="wavemix-overhead-") as scratch:
        for name in arguments.experiment:
            rows += measured(name, Path(scratch), arguments.rounds, progress)
    progress.end()
    notes = [
        f"medians of {arguments.rounds} trainings a side, in turns; of a training the median over its log without the "
        f"first row; the first steps: until the row of step {EVERY}, everything before it included",
        "two ranks share the batch that one rank does alone: the ideal is twice the rate",
    ]
    publish("overhead", rows, notes, save=len(arguments.experiment) > 1)


def measured(name: str, scratch: Path, rounds: int, progress: Progress) -> list[Row]:
    """The rows of one experiment."""
    shards = scratch / "shards"
    data = load_params(ROOT / "params.yaml").experiments[name].data
    prepare = [sys.executable, "-m", "pipelines.prepare", data, "--set", f"storage.shards={shards}"]
    subprocess.run(prepare, cwd=ROOT, check=True)
    recipe = f"experiments.{name}.recipe"
    changes = (f"{recipe}.log_every_steps={EVERY}", f"{recipe}.phases.0.num_epochs=6", f"{recipe}.eval_every_epochs=6")
    steps: dict[str, list[float]] = {side: [] for side in SIDES}
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    starts: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side, ranks in SIDES.items():
            progress.phase(name, f"{side}, round {number + 1}")
            training = Training(name, scratch / name / f"{side} {number}", shards, changes)
            began = time.time()
            training.run(torchrun=ranks)
            logged = [row for row in training.rows() if "train/loss" in row]
            later = [row for row in logged[1:] if row["step"] % EVERY == 0]
            steps[side].append(statistics.median(sum(row[part] for part in PARTS) / EVERY for row in later))
            rates[side].append(statistics.median(row["train/samples_per_second"] for row in later))
            starts[side].append(logged[0]["time"] - began)
    step, rate, start = (
        {side: statistics.median(found) for side, found in of.items()} for of in (steps, rates, starts)
    )
    return [
        compared(f"{name}: a step under Ray / torchrun", 1e3 * step["ray"], "ms", 1e3 * step["torchrun"], goal=GOAL),
        compared(f"{name}: the first {EVERY} steps, Ray / torchrun", start["ray"], "s", start["torchrun"]),
        compared(f"{name}: two ranks / one", rate["torchrun"], "samples/s", rate["one rank"], more_is_better=True),
    ]


if __name__ == "__main__":
    main()
