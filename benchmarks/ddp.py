"""Settings of DistributedDataParallel beside each other, on two ranks of this machine.

Every variant is a copy of the same network, and all take their steps in turns.

    python -m benchmarks.ddp [--rounds N] [--network NAME ...]
"""

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from benchmarks._harness import Row, compared, publish
from benchmarks._progress import Progress
from benchmarks._runs import free_port
from wavemix.models import build_model

CHANNELS_LAST = "and weights with the channels last"

VARIANTS: dict[str, dict[str, Any]] = {
    "ours": {"gradient_as_bucket_view": True},
    "torch's defaults": {},
    "and static_graph": {"gradient_as_bucket_view": True, "static_graph": True},
    "and buckets of 1 MB": {"gradient_as_bucket_view": True, "bucket_cap_mb": 1},
    "and buckets of 100 MB": {"gradient_as_bucket_view": True, "bucket_cap_mb": 100},
    CHANNELS_LAST: {"gradient_as_bucket_view": True},
}
"""``ours`` also sets ``forward_sync_buffers=False``, as every variant does: statistics are the loop's affair. Maps have
the channels last in all of them, by the networks themselves.
"""

WARM_UP = 5  # a static graph and the order of buckets are found in the first steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--network", nargs="+", default=["wavemix_lite_144_7", "wavemix_lite_64_6"], metavar="NAME")
    arguments = parser.parse_args()
    progress = Progress({name: [1.0] for name in arguments.network})
    rows: list[Row] = []
    for network in arguments.network:
        progress.phase(network, f"{arguments.rounds} rounds")
        rows += measured(network, arguments.rounds)
    progress.end()
    notes = [
        "two ranks of one thread each, 16 pictures of 32x32 a rank, gloo: forward, backward and AdamW; medians of "
        f"{arguments.rounds} rounds, all variants in turns",
    ]
    publish("ddp", rows, notes, save=len(arguments.network) > 1)


def measured(network: str, rounds: int) -> list[Row]:
    """The rows of one network."""
    results = mp.get_context("spawn").SimpleQueue()
    mp.spawn(_rank, (free_port(), network, rounds, results), nprocs=2)
    seconds: dict[str, float] = results.get()
    base = 1e3 * seconds["torch's defaults"]
    return [compared(f"{network}: {name}", 1e3 * value, "ms", base) for name, value in seconds.items()]


def _rank(rank: int, port: int, network: str, rounds: int, results: Any) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE="2")
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Grad strides do not match")  # sizes of 1 alone
    dist.init_process_group("gloo")
    steps = {name: _step(network, name) for name in VARIANTS}
    for step in steps.values():
        for _ in range(WARM_UP):
            step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            dist.barrier()
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    if rank == 0:
        results.put({name: statistics.median(values) for name, values in seconds.items()})
    dist.barrier()
    dist.destroy_process_group()


def _step(network: str, variant: str) -> Callable[[], None]:
    """One step of a copy of the network, on the same pictures each time."""
    torch.manual_seed(0)
    model: nn.Module = build_model(network, num_classes=10)
    if variant == CHANNELS_LAST:
        model = model.to(memory_format=torch.channels_last)
    pictures, labels = torch.rand(16, 3, 32, 32), torch.arange(16) % 10
    forward = DistributedDataParallel(model, forward_sync_buffers=False, **VARIANTS[variant])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(forward(pictures), labels).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
