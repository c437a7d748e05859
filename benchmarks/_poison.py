"""The stage ``train`` with pictures that are broken at three steps in a row; does not know what training does about it.

torchrun --nproc-per-node 2 -m benchmarks._poison FIRST_STEP NAME [--set ...]
"""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from pipelines.stage import run_stage
from wavemix.distributed import rank
from wavemix.launch.experiment import train_experiment
from wavemix.tasks import TASKS

IN_A_ROW = 3


class Poisoned:
    """A task, but for the pictures of these steps."""

    def __init__(self, task: Any, seed: int, steps: range) -> None:
        self._task = task
        # The loop gives each step a generator of its own, by which it is known here.
        self._firsts = {step: float(np.random.default_rng([seed, step, rank()]).random()) for step in steps}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def train_batch(self, batch: Mapping[str, Tensor], generator: np.random.Generator) -> Mapping[str, Tensor]:
        broken = float(generator.random()) in self._firsts.values()
        return {**batch, "image": batch["image"] * float("nan")} if broken else batch


def main() -> None:
    first = int(sys.argv.pop(1))
    build: Any = TASKS["classification"]
    tasks: Any = TASKS
    tasks["classification"] = lambda config, classes: Poisoned(
        build(config, classes), 0, range(first, first + IN_A_ROW)
    )
    run_stage(train_experiment, of="experiments")


if __name__ == "__main__":
    main()
