"""Shards -> batches: which rank reads which sample at which step, and reading it.

Samples are dealt, not shards. The order of an epoch is a pure function of (seed, epoch, manifest); a batch is a slice
of that order, and a rank's part of it a slice of the batch. So the state of the loader is the number of the step, and
resuming it, on any number of ranks, is arithmetic. It knows no task, no model and no process group.
"""

import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wavemix.data.manifest import Manifest, Shard
from wavemix.data.schema import Record, Sample
from wavemix.errors import ConfigError, DataError

Batch = dict[str, Tensor]
"""A sample's fields, stacked: uint8 pictures ``[b, c, h, w]``, int64 labels ``[b]``."""

TrainTransform = Callable[[Any, np.random.Generator], Sample]
EvalTransform = Callable[[Any], Sample]


# --- who reads what: arithmetic without a file --------------------------------------------------------------------


def epoch_order(shard_sizes: Sequence[int], *, seed: int, epoch: int, window: int) -> NDArray[np.int64]:
    """All samples of a split in the order of one epoch: shards shuffled, then samples within windows of that.

    A window spans a few shards, so that reading stays near-sequential on sets that fit no memory.

    Args:
        shard_sizes: Samples of each shard; sample numbers count through them.
        seed, epoch: Choose the order, together with the sizes and nothing else.
        window: How many samples are shuffled together.

    Returns:
        A permutation of ``0..n-1``, int64.
    """
    # Raw Philox numbers, sorted: unlike Generator.permutation their stream is promised never to change.
    keys = np.random.Philox(key=np.array([seed, epoch], np.uint64))
    starts = np.concatenate([[0], np.cumsum(shard_sizes)])
    shards = np.argsort(keys.random_raw(len(shard_sizes)), kind="stable")
    order = np.concatenate([np.arange(starts[shard], starts[shard + 1], dtype=np.int64) for shard in shards])
    sample_keys = keys.random_raw(len(order))
    for start in range(0, len(order), window):
        block = slice(start, start + window)
        order[block] = order[block][np.argsort(sample_keys[block], kind="stable")]
    return order


@dataclass(frozen=True)
class Deal:
    """How the samples of an epoch are dealt to steps and ranks.

    An epoch has ``ceil(num_samples / global_batch)`` steps, equal up to one sample: no short last batch, every sample
    once an epoch, and the same number of steps on every rank.
    """

    num_samples: int
    global_batch: int
    rank: int
    world_size: int

    def __post_init__(self) -> None:
        if self.num_samples // self.steps_per_epoch < self.world_size:
            raise ConfigError(
                f"recipe.global_batch: {self.global_batch} of {self.num_samples} samples cannot give each of "
                f"{self.world_size} workers a sample at every step; raise it or use fewer workers"
            )

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.num_samples // self.global_batch)

    def batch(self, step: int) -> slice:
        """Where the whole batch of this step (counted through all epochs) lies in its epoch's order."""
        return _part(0, self.num_samples, step % self.steps_per_epoch, self.steps_per_epoch)

    def mine(self, step: int) -> slice:
        """Where this rank's part of it lies."""
        batch = self.batch(step)
        return _part(batch.start, batch.stop, self.rank, self.world_size)

    def weight(self, step: int) -> float:
        """This rank's share of the batch times the world size: what its mean loss must be scaled by so that the mean
        over ranks (which is what DDP takes) is the mean over samples, also when the parts differ by a sample."""
        mine, batch = self.mine(step), self.batch(step)
        return float((mine.stop - mine.start) * self.world_size / (batch.stop - batch.start))


def _part(start: int, stop: int, number: int, parts: int) -> slice:
    size = stop - start
    return slice(start + size * number // parts, start + size * (number + 1) // parts)


# --- reading it ----------------------------------------------------------------------------------------------------


class ShardReader:
    """Any sample of a split by its number: one read at a known offset. Safe to send to another process."""

    def __init__(self, manifest: Manifest, split: str) -> None:
        self.folder, self.shards = manifest.folder, manifest.splits[split]
        self.starts = np.concatenate([[0], np.cumsum([shard.samples for shard in self.shards])])
        self._offsets = [_read_index(manifest, shard) for shard in self.shards]
        self._open: dict[int, int] = {}

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, number: int) -> Record:
        """Raises DataError, with the shard's name, if the shard is gone or holds something else there."""
        which = int(np.searchsorted(self.starts, number, side="right")) - 1
        offsets = self._offsets[which]
        at = number - int(self.starts[which])
        start, size = int(offsets[at]), int(offsets[at + 1] - offsets[at])
        path = self.folder / self.shards[which].name
        try:
            block = os.pread(self._descriptor(which), size, start)
            with tarfile.open(fileobj=io.BytesIO(block), mode="r:") as tar:
                members = [(member.name, _content(tar, member)) for member in tar]
        except (OSError, tarfile.TarError) as error:
            raise DataError(
                f"{path}: cannot read the sample at byte {start}: {error}; prepare the data again"
            ) from None
        folder, _, base = members[0][0].rpartition("/") if members else ("", "", "")
        stem = base.partition(".")[0]
        key = f"{folder}/{stem}" if folder else stem
        if len(block) != size or any(not name.startswith(key + ".") for name, _ in members) or not members:
            raise DataError(f"{path}: no whole sample at byte {start}; its content is not what was written")
        return Record(key, {name[len(key) + 1 :]: content for name, content in members})

    def _descriptor(self, which: int) -> int:
        if which not in self._open:
            self._open[which] = os.open(self.folder / self.shards[which].name, os.O_RDONLY)
        return self._open[which]

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}  # file descriptors belong to their process


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member) if member.isreg() else None
    if file is None:
        raise tarfile.TarError(f"{member.name} is no plain file")
    return file.read()


def _read_index(manifest: Manifest, shard: Shard) -> NDArray[np.int64]:
    path = manifest.folder / shard.index_name
    try:
        offsets: NDArray[np.int64] = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot read the index of {shard.name}: {error}; prepare the data again") from None
    if offsets.shape != (shard.samples + 1,) or offsets[-1] > shard.bytes or (np.diff(offsets) <= 0).any():
        raise DataError(f"{path}: does not fit {shard.name}; prepare the data again")
    return offsets


@dataclass(frozen=True)
class _Decoded(Dataset[dict[str, Any]]):
    """(epoch, number) -> the fields of one sample, decoded and transformed; what loader processes run."""

    reader: ShardReader
    schema: type[Sample]
    transform: TrainTransform | EvalTransform
    seed: int | None  # None: the transform draws nothing

    def __getitem__(self, at: tuple[int, int]) -> dict[str, Any]:
        epoch, number = at
        sample = self.schema.decode(self.reader[number])
        if self.seed is None:
            return dict(self.transform(sample).fields())  # type: ignore[call-arg]
        # A sample's own random numbers: the same whichever rank or process draws them.
        generator = np.random.default_rng([self.seed, epoch, number])
        return dict(self.transform(sample, generator).fields())  # type: ignore[call-arg]


def train_batches(
    manifest: Manifest,
    schema: type[Sample],
    transform: TrainTransform,
    deal: Deal,
    *,
    seed: int,
    start_step: int = 0,
    window: int,
    num_workers: int = 0,
) -> Iterator[Batch]:
    """This rank's part of every batch from ``start_step`` on, for ever.

    Args:
        manifest: The shards; the split is ``train``.
        schema: How a record is decoded.
        transform: Augmentation; gets a generator seeded by (seed, epoch, sample).
        deal: Who reads what.
        seed: Chooses order and augmentation.
        start_step: Where to begin: nothing before it is read.
        window: See ``epoch_order``.
        num_workers: Processes that read ahead; 0 reads in this one. Does not change what comes.
    """

    def numbers() -> Iterator[list[tuple[int, int]]]:
        step, order, ordered = start_step, np.empty(0, np.int64), -1
        while True:
            epoch = step // deal.steps_per_epoch
            if epoch != ordered:
                sizes = [shard.samples for shard in manifest.splits["train"]]
                order, ordered = epoch_order(sizes, seed=seed, epoch=epoch, window=window), epoch
            yield [(epoch, int(number)) for number in order[deal.mine(step)]]
            step += 1

    reader = ShardReader(manifest, "train")
    yield from _load(_Decoded(reader, schema, transform, seed), numbers(), num_workers)


def eval_batches(
    manifest: Manifest,
    split: str,
    schema: type[Sample],
    transform: EvalTransform,
    *,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[Batch]:
    """This rank's exact share of a split, in its natural order, each sample once; a rank's share may be empty."""
    reader = ShardReader(manifest, split)
    share = _part(0, len(reader), rank, world_size)
    numbers = [
        [(0, number) for number in range(start, min(start + batch_size, share.stop))]
        for start in range(share.start, share.stop, batch_size)
    ]
    yield from _load(_Decoded(reader, schema, transform, None), numbers, 0)
    reader.close()


def _load(dataset: _Decoded, numbers: Iterable[list[tuple[int, int]]], num_workers: int) -> Iterator[Batch]:
    # forkserver: a fork of a process that runs threads (Ray's, torch's) can deadlock.
    how: dict[str, Any] = {"multiprocessing_context": "forkserver", "prefetch_factor": 4} if num_workers else {}
    yield from DataLoader(dataset, batch_sampler=numbers, num_workers=num_workers, collate_fn=stack, **how)


def stack(samples: Sequence[dict[str, Any]]) -> Batch:
    """Fields of samples -> a batch; pictures of unequal size are an error that the transform must prevent."""
    return {name: torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in samples[0]}
