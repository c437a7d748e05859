"""Shards -> batches: reads, decodes and transforms the samples that ``order`` deals. It knows no task, no model and no
process group.
"""

import multiprocessing
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate
from xxhash import xxh3_128_intdigest

from wavemix.data.manifest import Manifest
from wavemix.data.order import Deal, epoch_order, part
from wavemix.data.reader import ShardReader
from wavemix.data.schema import Record, Sample
from wavemix.errors import DataError

Batch = dict[str, Tensor]
"""A sample's fields, stacked: uint8 pictures ``[b, c, h, w]``, int64 labels ``[b]``."""

Fields = Mapping[str, NDArray[np.generic]]
Decode = Callable[[Record], Sample]
TrainTransform = Callable[[Any, np.random.Generator], Sample]
EvalTransform = Callable[[Any], Sample]

VALID = "valid"
"""Field of evaluation batches, bool ``[b]``: False marks a row that only makes all ranks' batches equally large."""


@dataclass(frozen=True)
class _Decoded(Dataset[Fields]):
    """(epoch, number, counts) -> the fields of one sample; what loader processes run."""

    reader: ShardReader
    decode: Decode
    transform: TrainTransform | EvalTransform
    seed: int | None  # None: the transform draws nothing
    generator: np.random.Generator = field(default_factory=lambda: np.random.Generator(np.random.PCG64(0)))

    def __getitems__(self, wanted: Sequence[tuple[int, int, bool]]) -> list[Fields]:
        records = self.reader.read([number for _, number, _ in wanted])
        return [self._fields(record, *at) for record, at in zip(records, wanted, strict=True)]

    def __getitem__(self, at: tuple[int, int, bool]) -> Fields:
        return self.__getitems__([at])[0]

    def _fields(self, record: Record, epoch: int, number: int, valid: bool) -> Fields:
        sample = self.decode(record)
        if self.seed is None:
            return {**self.transform(sample).fields(), VALID: np.array(valid)}  # type: ignore[call-arg]
        # A sample's own random numbers: the same whichever rank or process draws them.
        set_stream(self.generator, self.seed, epoch, number)
        return self.transform(sample, self.generator).fields()  # type: ignore[call-arg]


def train_batches(
    manifest: Manifest,
    decode: Decode,
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
        decode: How a record becomes a sample.
        transform: Augmentation; gets a generator set to the stream of (seed, epoch, sample), and must not keep it.
        deal: Who reads what.
        seed: Chooses order and augmentation.
        start_step: Where to begin: nothing before it is read.
        window: See ``epoch_order``.
        num_workers: Processes that read ahead; 0 reads in this one. Does not change what comes.
    """
    sizes = [shard.samples for shard in manifest.shards("train")]

    def numbers() -> Iterator[list[tuple[int, int, bool]]]:
        step, order, ordered = start_step, np.empty(0, np.int64), -1
        while True:
            epoch = step // deal.steps_per_epoch
            if epoch != ordered:
                order, ordered = epoch_order(sizes, seed=seed, epoch=epoch, window=window), epoch
            mine = deal.mine(step)
            places = np.arange(mine.start, mine.stop) % len(order)  # the tail may wrap
            yield [(epoch, int(number), True) for number in order[places]]
            step += 1

    yield from _load(_Decoded(ShardReader(manifest, "train"), decode, transform, seed), numbers(), num_workers)


def eval_batches(
    manifest: Manifest,
    split: str,
    decode: Decode,
    transform: EvalTransform,
    *,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    num_workers: int = 0,
) -> Iterator[Batch]:
    """This rank's share of a split in its natural order, as equally large batches on all ranks.

    Each sample is ``valid`` once, over all ranks; where a share is a sample short, its last one is repeated and is not.
    """
    reader = ShardReader(manifest, split)
    share = part(0, len(reader), rank, world_size)
    longest = -(-len(reader) // world_size)
    own = [(0, number, True) for number in range(share.start, share.stop)]
    padding = [(0, max(0, share.stop - 1), False)] * (longest - len(own))
    padded = own + padding
    numbers = [padded[start : start + batch_size] for start in range(0, longest, batch_size)]
    yield from _load(_Decoded(reader, decode, transform, None), numbers, num_workers)
    reader.close()


def _load(dataset: _Decoded, numbers: Iterable[list[tuple[int, int, bool]]], num_workers: int) -> Iterator[Batch]:
    how: dict[str, Any] = {}
    if num_workers:
        # forkserver: a fork of a process that runs threads (Ray's, torch's) can deadlock. It loads torch once for all.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        how = {"multiprocessing_context": context, "prefetch_factor": 4}
    yield from DataLoader(dataset, batch_sampler=numbers, num_workers=num_workers, collate_fn=stack, **how)


def set_stream(generator: np.random.Generator, *numbers: int) -> None:
    """Make a generator of PCG64 draw the numbers that belong to these (seed, epoch, sample), whatever it drew before.

    A fresh ``default_rng(numbers)`` would do the same, and costs as much as reading the sample.
    """
    state = xxh3_128_intdigest(struct.pack(f"<{len(numbers)}Q", *numbers))
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": state, "inc": 1},
        "has_uint32": 0,
        "uinteger": 0,
    }


def stack(samples: Sequence[Fields]) -> Batch:
    """Fields of samples -> a batch.

    In a loader process torch puts the batch at once into the memory that the other process will see.

    Raises:
        DataError: Pictures differ in size: the task's transforms leave it as it is.
    """
    for name, first in samples[0].items():
        for other in (sample[name] for sample in samples[1:]):
            if other.shape != first.shape:
                (height, width), (other_height, other_width) = first.shape[-2:], other.shape[-2:]
                raise DataError(
                    f"{name}: pictures of {width}x{height} and {other_width}x{other_height} cannot be in one batch; "
                    "set recipe.eval_batch: 1 (and recipe.global_batch: 1 to train on whole pictures)"
                )
    batch: Batch = default_collate([{name: _tensor(value) for name, value in sample.items()} for sample in samples])
    return batch


def _tensor(value: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(value if value.flags.writeable else value.copy())  # torch warns of others
