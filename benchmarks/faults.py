"""Kills, cuts and starves trainings at random steps, and tells what it cost them.

Every training is of the digits, on two workers, and goes through the same commands as a user's. Each fault comes at a
step that is drawn from the seed. A training that came through is compared with one that nothing happened to: the same
weights, the same curve, every sample of every epoch.

    python -m benchmarks.faults [--only KIND ...] [--seeds N]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks._faults import CHANGES, KINDS
from benchmarks._harness import RESULTS, commit, machine
from benchmarks._progress import Progress
from benchmarks._runs import ROOT, Training
from wavemix.report.faults import Fault


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = list(KINDS)
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds, metavar="KIND", help="; ".join(kinds))
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    progress = Progress({kind: [1.0] * arguments.seeds for kind in arguments.only})
    outcomes: list[Fault] = []
    with tempfile.TemporaryDirectory(prefix="wavemix-faults-") as scratch:
        folder = Path(scratch)
        shards = folder / "shards"
        prepare = ["-m", "pipelines.prepare", "digits", "--set", f"storage.shards={shards}"]
        subprocess.run([sys.executable, *prepare], cwd=ROOT, check=True)
        reference = Training("digits", folder / "reference", shards, CHANGES)
        reference.run(torchrun=2)
        print(f"{'fault':45}{'seed':>5}{'step':>6}{'redone':>8}{'lost':>6}{'seconds':>9}  identical")
        for seed in range(arguments.seeds):
            for kind in arguments.only:
                progress.phase(kind, f"seed {seed}")
                training = Training("digits", folder / f"{len(outcomes)}", shards, CHANGES)
                one = KINDS[kind](kind, seed, training, reference)
                ended = "did not come to its end" if not one.recovered else "yes" if one.identical else "NO"
                print(
                    f"{kind:45}{seed:5}{one.step:6}{one.steps_redone:8}{one.samples_lost:6}{one.seconds:9.1f}  {ended}",
                    flush=True,
                )
                outcomes.append(one)
    progress.end()
    outcomes.sort(key=lambda one: (kinds.index(one.kind), one.seed))
    if len(arguments.only) == len(kinds):
        told = {"commit": commit(), "machine": machine(), "rows": [asdict(one) for one in outcomes]}
        (RESULTS / "faults.json").write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
