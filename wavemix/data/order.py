"""Who reads which sample at which step: arithmetic, without a file.

The order of an epoch is a pure function of (seed, epoch, manifest); a batch is a slice of that order, and a rank's part
of it a slice of the batch. So where a loader stands is one number, for any number of ranks and of loader processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wavemix.errors import CheckpointError, ConfigError

Tail = Literal["spread", "drop", "wrap"]
"""What an epoch does with the samples that fill no whole batch: ``spread`` makes all batches equal up to one sample, so
that each sample comes once; ``drop`` leaves them out of this epoch; ``wrap`` fills the last batch up with the first
samples of the same epoch. Under the latter two all batches are ``global_batch``."""


@dataclass(frozen=True)
class LoaderState:
    """Where a loader stands. Nothing in it belongs to a rank or to a process."""

    seed: int
    epoch: int
    samples_seen: int  # of this epoch, over all ranks
    global_batch: int
    manifest_sha256: str


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
    """How the samples of an epoch are dealt to steps and ranks: the same number of steps on every rank."""

    num_samples: int
    global_batch: int
    rank: int
    world_size: int
    tail: Tail = "spread"

    def __post_init__(self) -> None:
        smallest = self.num_samples // self.steps_per_epoch if self.steps_per_epoch else 0
        if self.tail != "spread":
            smallest = self.global_batch if self.num_samples >= self.global_batch else 0
        if smallest < self.world_size:
            raise ConfigError(
                f"recipe.global_batch: {self.global_batch} of {self.num_samples} samples cannot give each of "
                f"{self.world_size} workers a sample at every step; "
                + ("lower it" if self.tail != "spread" and smallest == 0 else "raise it or use fewer workers")
            )

    @property
    def steps_per_epoch(self) -> int:
        down, up = self.num_samples // self.global_batch, -(-self.num_samples // self.global_batch)
        return down if self.tail == "drop" else up

    def batch(self, step: int) -> slice:
        """Where the whole batch of this step (counted through all epochs) lies in its epoch's order.

        With ``wrap`` it may reach past the end of the order, which goes on with its beginning.
        """
        within = step % self.steps_per_epoch
        if self.tail == "spread":
            return part(0, self.num_samples, within, self.steps_per_epoch)
        return slice(within * self.global_batch, (within + 1) * self.global_batch)

    def mine(self, step: int) -> slice:
        """Where this rank's part of it lies."""
        batch = self.batch(step)
        return part(batch.start, batch.stop, self.rank, self.world_size)

    def weight(self, step: int) -> float:
        """This rank's share of the batch times the world size: what its mean loss must be scaled by so that the mean
        over ranks (which is what DDP takes) is the mean over samples, also when the parts differ by a sample."""
        mine, batch = self.mine(step), self.batch(step)
        return float((mine.stop - mine.start) * self.world_size / (batch.stop - batch.start))

    def state(self, step: int, *, seed: int, manifest_sha256: str) -> LoaderState:
        """Where the loader stands when ``step`` is the next one."""
        return LoaderState(
            seed, step // self.steps_per_epoch, self.batch(step).start, self.global_batch, manifest_sha256
        )

    def step_of(self, state: LoaderState, *, seed: int, manifest_sha256: str) -> int:
        """The next step of a loader that stood there, on any number of ranks.

        Raises:
            CheckpointError: It stood in another order: of other data, another seed or another global batch.
        """
        for what, found, needed in (
            ("the data", state.manifest_sha256, manifest_sha256),
            ("the seed", state.seed, seed),
            ("the global batch", state.global_batch, self.global_batch),
        ):
            if found != needed:
                raise CheckpointError(f"the loader cannot go on: {what} was {found} and is now {needed}")
        step = state.epoch * self.steps_per_epoch + state.samples_seen * self.steps_per_epoch // self.num_samples
        for candidate in (step, step + 1):
            if self.state(candidate, seed=seed, manifest_sha256=manifest_sha256) == state:
                return candidate
        raise CheckpointError(f"the loader cannot go on after {state.samples_seen} samples: no batch begins there")


def part(start: int, stop: int, number: int, parts: int) -> slice:
    """Part ``number`` of a range cut into ``parts`` that are equal up to one."""
    size = stop - start
    return slice(start + size * number // parts, start + size * (number + 1) // parts)
