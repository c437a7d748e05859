"""Every metric of every task is the same on one rank, two and three, of which one has most samples and one has none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter

from factories.tasks import CASES, Case
from wavemix.config import Task
from wavemix.data.loader import stack
from wavemix.metrics import FrechetDistance, frechet_distance
from wavemix.tasks import TASKS
from wavemix.training.evaluation import evaluate

TESTS = Path(__file__).parents[1]
SHARES = {1: ((0, 8),), 2: ((0, 5), (5, 8)), 3: ((0, 6), (6, 8), (8, 8))}
"""Of eight samples, by the number of ranks."""

SCRIPT = f"""
import json, sys
sys.path.insert(0, {str(TESTS)!r})
import torch.distributed as dist
from training.test_ranks import SHARES, scores

dist.init_process_group("gloo")
found = scores(*SHARES[dist.get_world_size()][dist.get_rank()])
with open(f"{{sys.argv[1]}}/{{dist.get_rank()}}.json", "w") as file:
    json.dump(found, file)
dist.destroy_process_group()
"""


def scores(start: int, stop: int) -> dict[str, dict[str, float]]:
    """All numbers of all tasks, with this rank's share of the samples in batches of two; the same on every rank."""
    return {name: _scores(case, start, stop) for name, case in CASES.items()}


def _scores(case: Case, start: int, stop: int) -> dict[str, float]:
    torch.set_num_threads(1)
    config = TypeAdapter(Task).validate_python(case.section)
    task = TASKS[config.name](config, case.classes)
    torch.manual_seed(0)
    model = task.build_model()
    samples = [task.eval_transform(sample).fields() for sample in case.samples()[start:stop]]
    batches = [stack(samples[at : at + 2]) for at in range(0, len(samples), 2)]
    numbers = {}
    for variant, predict in {"": None, **task.variants()}.items():
        tallies = evaluate(model, task, batches, torch.device("cpu"), full=True, variant=predict)
        numbers |= {f"{name} {variant}": value for name, value in task.summary(tallies).items()}
    return numbers


@pytest.mark.cluster
@pytest.mark.parametrize("world_size", [2, 3])
def test_scores_do_not_depend_on_the_ranks(world_size: int, tmp_path: Path) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", f"{world_size}", str(script), tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS.parent)},
    )
    assert done.returncode == 0, done.stderr
    alone = scores(0, 8)
    assert {"top1 ", "miou flip", "psnr_y bicubic", "l1_hole mean_fill"} <= {
        metric for metrics in alone.values() for metric in metrics
    }
    for rank in range(world_size):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        for name, metrics in alone.items():
            # Sums are in double precision, what is summed in single: batches of other sizes may round it otherwise.
            assert found[name] == pytest.approx(metrics, rel=1e-6, nan_ok=True), (name, rank)


def test_a_frechet_distance_does_not_depend_on_the_batches() -> None:
    pictures = torch.rand(2, 8, 3, 4, 4, generator=torch.Generator().manual_seed(0))

    def features(picture_b3hw: torch.Tensor) -> torch.Tensor:
        return picture_b3hw.float().mean(dim=(2, 3))

    whole = frechet_distance(features, *pictures)
    parts: list[FrechetDistance] = [frechet_distance(features, *pictures[:, at]) for at in (slice(0, 5), slice(5, 8))]
    assert (parts[0] + parts[1]).value == pytest.approx(whole.value, rel=1e-9)
