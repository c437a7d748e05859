"""Kills, cuts and starves trainings at random steps, and tells what it cost them.

Every training is of the digits, on two workers, and goes through the same commands as a user's. Each fault comes at a
step that is drawn from the seed. A training that came through is compared with one that nothing happened to: the same
weights, the same curve, every sample of every epoch.

    python -m benchmarks.faults [--only KIND ...] [--seeds N] [--again]

It takes two hours. What was measured is written at once to results/faults.json, and not measured a second time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks._faults import CHANGES, KINDS
from benchmarks._harness import RESULTS, commit, machine
from benchmarks._progress import Progress
from benchmarks._runs import ROOT, Training
from wavemix.files import write_aside
from wavemix.report.faults import Fault, Faults, read_faults

KEPT = RESULTS / "faults.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = list(KINDS)
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds, metavar="KIND", help="; ".join(kinds))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--again", action="store_true", help="measure all of it anew")
    arguments = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    before = None if arguments.again else read_faults(KEPT)
    rows = {(row.kind, row.seed): row for row in before.rows} if before else {}
    asked = [(kind, seed) for seed in range(arguments.seeds) for kind in arguments.only if (kind, seed) not in rows]
    if asked:
        _measure(asked, rows, before)
    print(f"{'fault':45}{'seed':>5}{'step':>6}{'redone':>8}{'lost':>6}{'seconds':>9}  identical")
    for one in rows.values():
        same = {True: "yes", False: "NO", None: "-"}[one.identical]
        ended = same if one.recovered else "did not come to its end"
        print(
            f"{one.kind:45}{one.seed:5}{one.step:6}{one.steps_redone:8}{one.samples_lost:6}{one.seconds:9.1f}  {ended}"
        )


def _measure(asked: list[tuple[str, int]], rows: dict[tuple[str, int], Fault], before: Faults | None) -> None:
    """Inject what is asked for, and add it to ``rows`` and to the file."""
    progress = Progress({"faults": [1.0] * len(asked)})
    with tempfile.TemporaryDirectory(prefix="wavemix-faults-") as scratch:
        folder = Path(scratch)
        shards = folder / "shards"
        prepare = ["-m", "pipelines.prepare", "digits", "--set", f"storage.shards={shards}"]
        subprocess.run([sys.executable, *prepare], cwd=ROOT, check=True)
        reference = Training("digits", folder / "reference", shards, CHANGES)
        reference.run(torchrun=2)
        for number, (kind, seed) in enumerate(asked):
            progress.phase("faults", f"{kind}, seed {seed}")
            training = Training("digits", folder / str(number), shards, CHANGES)
            rows[kind, seed] = KINDS[kind](kind, seed, training, reference)
            _write(rows, before)
    progress.end()


def _write(rows: Mapping[tuple[str, int], Fault], before: Faults | None) -> None:
    order = list(KINDS)
    kept = [rows[key] for key in sorted(rows, key=lambda key: (order.index(key[0]), key[1]))]
    commits = dict.fromkeys([*(before.commit.split(", ") if before else ()), commit() or "no git"])
    told = {"commit": ", ".join(commits), "machine": machine(), "rows": [asdict(one) for one in kept]}
    write_aside(KEPT, (json.dumps(told, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
