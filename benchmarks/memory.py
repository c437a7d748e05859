"""Memory of the loader over epochs of a million samples: of the process that decodes, and of the one that trains.

Both must stay as large as they are after the first epoch. README.md beside this file says how a row is read.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import torch

from benchmarks._harness import Row, compared, publish
from benchmarks._progress import Progress
from wavemix.data.decode import encode_png
from wavemix.data.loader import train_batches
from wavemix.data.manifest import Manifest, write_manifest
from wavemix.data.order import Deal
from wavemix.data.schema import LabelledImage, Record
from wavemix.data.shards import write_shard

SAMPLES = 1_000_000
SHARDS = 100
EPOCHS = 20
RANKS = 100  # of which one is here, and reads a hundredth of each epoch
PART = 64  # samples of a batch on one rank
WINDOW = 16384  # our default
GOAL = 1 / 1.05  # at most 5 % more than after the first epoch
MIB = 2**20


@dataclass(frozen=True)
class Memory:
    """Of a process, in MiB: its proportional share of all it uses, and what it alone uses."""

    pss: float
    uss: float


def main() -> None:
    """Measure, print and write ``results/memory.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--samples",
        metavar="N",
        type=int,
        default=SAMPLES,
        help=f"of the manifest, in hundreds; with any number but {SAMPLES}, results are printed and not written",
    )
    options = parser.parse_args()
    if options.samples < RANKS * PART or options.samples % SHARDS:
        parser.error(f"--samples must be at least {RANKS * PART}, and a multiple of {SHARDS}")
    torch.set_num_threads(1)

    progress = Progress({"shards": [1.0], "epochs": [float(EPOCHS)]})
    with tempfile.TemporaryDirectory(prefix="wavemix-bench-") as folder:
        progress.phase("shards", f"{options.samples:,} samples in {SHARDS} shards, in {folder}")
        manifest = write_tiny(Path(folder) / "tiny", options.samples)
        series = list(memory_of_epochs(manifest, progress))
    progress.end()
    workers, mains = zip(*series, strict=True)
    rows = [*rows_of("loader process", workers), *rows_of("main process", mains)]
    notes = [
        f"{EPOCHS} epochs of {options.samples:,} samples on rank 0 of {RANKS}, whose part of an epoch is "
        f"{options.samples // RANKS:,}; one loader process",
        f"loader process, PSS in MiB by epoch: {told(workers)}",
        f"main process, PSS in MiB by epoch: {told(mains)}",
    ]
    publish("memory", rows, notes, save=options.samples == SAMPLES)


def write_tiny(folder: Path, samples: int) -> Manifest:
    """A manifest of so many samples of one pixel each.

    All shards are one file under many names: a reader sees as many files, samples and index rows as there would be, and
    the disk holds a hundredth. What is shared is the page cache, which is no process's memory.
    """
    parts = {"png": encode_png(np.zeros((1, 1, 3), np.uint8)), "cls": b"0"}
    written = write_shard((Record(f"{number:08d}", parts) for number in range(samples // SHARDS)), folder / "first.tar")
    shards = [replace(written, name=f"train-{number:06d}.tar") for number in range(SHARDS)]
    for shard in shards:
        for name, of_first in ((shard.name, written.name), (shard.index_name, written.index_name)):
            (folder / name).hardlink_to(folder / of_first)
    described = {"name": "tiny", "schema": "labelled_image", "plan": "", "fingerprint": "", "source": {}, "options": {}}
    return write_manifest(folder, **described, classes=("one",), splits={"train": tuple(shards)}, rejected=())


def memory_of_epochs(manifest: Manifest, progress: Progress) -> Iterator[tuple[Memory, Memory]]:
    """The loader process and this one at the end of each epoch, all epochs in one go."""
    deal = Deal(manifest.num_samples("train"), RANKS * PART, rank=0, world_size=RANKS)
    batches = train_batches(
        manifest, LabelledImage.decode, labelled_by_process, deal, seed=0, window=WINDOW, num_workers=1
    )
    with closing(batches):
        progress.phase("epochs", f"{EPOCHS} of {deal.steps_per_epoch} steps")
        for done in range(1, EPOCHS + 1):
            for _ in range(deal.steps_per_epoch):
                batch = next(batches)
            (decoding,) = batch["label"].unique().tolist()
            assert decoding != os.getpid()
            progress.part(done / EPOCHS)
            yield memory_of(decoding), memory_of(os.getpid())


def labelled_by_process(sample: LabelledImage, _generator: np.random.Generator) -> LabelledImage:
    """So that the process that decodes is known."""
    return replace(sample, label=os.getpid())


def memory_of(process: int) -> Memory:
    """As the kernel tells it."""
    full = psutil.Process(process).memory_full_info()
    return Memory(full.pss / MIB, full.uss / MIB)


def rows_of(name: str, series: tuple[Memory, ...]) -> list[Row]:
    """The most that it took at the end of any epoch, beside the first one."""
    return [
        compared(
            f"{name}: largest {kind.upper()} of {len(series)} epochs / after the first",
            max(getattr(memory, kind) for memory in series),
            "MiB",
            getattr(series[0], kind),
            goal=GOAL,
        )
        for kind in ("pss", "uss")
    ]


def told(series: tuple[Memory, ...]) -> str:
    """The whole series."""
    return " ".join(f"{memory.pss:.0f}" for memory in series)


if __name__ == "__main__":
    main()
