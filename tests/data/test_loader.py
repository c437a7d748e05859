"""The loader deals every sample exactly once an epoch, to any number of ranks and processes, from any step on."""

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from factories.tiny import as_it_is
from wavemix.config.tasks import Augment
from wavemix.data import Deal, LabelledImage, Manifest
from wavemix.data.loader import eval_batches, set_stream, train_batches
from wavemix.errors import DataError
from wavemix.tasks.classification import Classification

Written = Callable[..., Manifest]
WORLD_SIZES = (1, 2, 3, 8)
# Loader processes import the transform, which pytest's own modules do not allow: a task's real one.
IMPORTABLE = Classification(
    classes=("even", "odd"),
    model={},
    image_size=8,
    mean=(0.5,),
    std=(0.5,),
    augment=Augment(shift=0.2, scale=0.2, rotate=30.0, horizontal_flip_prob=0.5),
    loss_name="cross_entropy",
    label_smoothing=0.0,
)


def noisy(sample: LabelledImage, generator: np.random.Generator) -> LabelledImage:
    """A random picture, so that a batch shows which random numbers each sample was given."""
    return replace(sample, image=generator.integers(0, 256, sample.image.shape, dtype=np.uint8))


def batches_of(
    manifest: Manifest,
    global_batch: int,
    *,
    rank: int = 0,
    world_size: int = 1,
    transform: Callable[..., Any] = as_it_is,
    **how: Any,
) -> Iterator[dict[str, Any]]:
    deal = Deal(manifest.num_samples("train"), global_batch, rank, world_size)
    return train_batches(manifest, LabelledImage.decode, transform, deal, **{"seed": 0, "window": 16, **how})


def labels(manifest: Manifest, global_batch: int, steps: int, **how: Any) -> list[list[int]]:
    """The samples of the first steps of one rank; a sample's label is its number."""
    some = itertools.islice(batches_of(manifest, global_batch, **how), steps)
    return [batch["label"].tolist() for batch in some]


def global_batches(manifest: Manifest, global_batch: int, steps: int, world_size: int, **how: Any) -> list[list[int]]:
    """The samples of each step, joined over ranks in their order."""
    ranks = [labels(manifest, global_batch, steps, rank=r, world_size=world_size, **how) for r in range(world_size)]
    return [list(itertools.chain(*parts)) for parts in zip(*ranks, strict=True)]


@pytest.mark.parametrize("world_size", WORLD_SIZES)
@pytest.mark.parametrize(("num_samples", "samples_per_shard", "global_batch"), [(37, 5, 16), (23, 23, 8), (64, 32, 32)])
def test_every_epoch_deals_every_sample_exactly_once(
    written: Written, world_size: int, num_samples: int, samples_per_shard: int, global_batch: int
) -> None:
    if num_samples // -(-num_samples // global_batch) < world_size:
        global_batch = 2 * world_size
    manifest = written(train=num_samples, samples_per_shard=samples_per_shard)
    steps = Deal(num_samples, global_batch, 0, world_size).steps_per_epoch
    assert steps == -(-num_samples // global_batch)
    ranks = [labels(manifest, global_batch, 2 * steps, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert [len(rank) for rank in ranks] == [2 * steps] * world_size
    for epoch in (0, 1):
        seen = [number for rank in ranks for step in rank[epoch * steps : (epoch + 1) * steps] for number in step]
        assert sorted(seen) == list(range(num_samples))
    whole = [sum(map(len, parts)) for parts in zip(*ranks, strict=True)]
    assert max(whole) <= global_batch
    assert max(whole) - min(whole) <= 1
    for parts in zip(*ranks, strict=True):
        sizes = [len(part) for part in parts]
        assert min(sizes) >= 1
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes:UserWarning")
@pytest.mark.parametrize("num_workers", [2, 3])
@pytest.mark.parametrize("world_size", WORLD_SIZES)
def test_with_loader_processes_it_is_the_same_for_fewer_shards_than_ranks(
    written: Written, world_size: int, num_workers: int
) -> None:
    manifest = written(train=37, samples_per_shard=13)
    alone = labels(manifest, 16, 6)
    assert global_batches(manifest, 16, 6, world_size, num_workers=num_workers) == alone
    assert sorted(itertools.chain(*alone[:3])) == sorted(itertools.chain(*alone[3:])) == list(range(37))


def test_loader_processes_do_not_change_what_comes(written: Written) -> None:
    manifest = written(train=11, samples_per_shard=3)
    one = batches_of(manifest, 4, transform=IMPORTABLE.train_transform)
    two = batches_of(manifest, 4, transform=IMPORTABLE.train_transform, num_workers=2)
    for mine, theirs in itertools.islice(zip(one, two, strict=True), 6):
        assert mine["label"].tolist() == theirs["label"].tolist()
        assert mine["image"].equal(theirs["image"])
    two.close()  # type: ignore[attr-defined]


def test_the_seed_and_the_epoch_choose_the_order(written: Written) -> None:
    manifest = written(train=37, samples_per_shard=5)
    epochs = [list(itertools.chain(*labels(manifest, 8, 5, seed=seed, start_step=at))) for seed, at in
              [(0, 0), (0, 0), (0, 5), (1, 0)]]  # fmt: skip
    assert epochs[0] == epochs[1]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert epochs[0] != list(range(37))


@pytest.mark.parametrize("world_size", [2, 3, 8])
def test_the_global_batches_do_not_depend_on_the_number_of_ranks(written: Written, world_size: int) -> None:
    manifest = written(train=37, samples_per_shard=5)
    assert global_batches(manifest, 16, 7, world_size) == labels(manifest, 16, 7)


@pytest.mark.parametrize("start_step", [1, 3, 4, 7])
def test_starting_at_a_step_gives_what_would_have_come(written: Written, start_step: int) -> None:
    manifest = written(train=23, samples_per_shard=5)
    whole = list(itertools.islice(batches_of(manifest, 8, transform=noisy), 10))
    resumed = list(itertools.islice(batches_of(manifest, 8, transform=noisy, start_step=start_step), 10 - start_step))
    for one, other in zip(whole[start_step:], resumed, strict=True):
        assert one["label"].equal(other["label"])
        assert one["image"].equal(other["image"])


def test_stopped_on_two_ranks_and_resumed_on_three_nothing_is_lost_or_repeated(written: Written) -> None:
    manifest = written(train=37, samples_per_shard=5)
    before = global_batches(manifest, 8, 3, world_size=2)
    after = global_batches(manifest, 8, 2, world_size=3, start_step=3)
    assert sorted(itertools.chain(*before, *after)) == list(range(37))


def test_an_error_in_a_loader_process_arrives_as_it_is(written: Written) -> None:
    manifest = written(train=12, samples_per_shard=6)
    victim = manifest.folder / "train-000000.tar"
    victim.write_bytes(bytes(victim.stat().st_size))
    with pytest.raises(DataError, match=r"train-000000\.tar"):
        labels(manifest, 4, 3, num_workers=1, transform=IMPORTABLE.train_transform)


def test_random_numbers_of_a_sample_follow_from_seed_epoch_and_sample_alone(written: Written) -> None:
    manifest = written(train=13, samples_per_shard=4)

    def pictures(global_batch: int, world_size: int, **how: Any) -> dict[int, bytes]:
        steps = -(-13 // global_batch)
        found = {}
        for rank in range(world_size):
            some = batches_of(manifest, global_batch, rank=rank, world_size=world_size, transform=noisy, **how)
            for batch in itertools.islice(some, steps):
                for label, image in zip(batch["label"].tolist(), batch["image"], strict=True):
                    found[label] = image.numpy().tobytes()
        return found

    one = pictures(4, 1)
    assert len(one) == 13
    assert len(set(one.values())) == 13
    assert pictures(13, 3, window=2) == one
    for other in (pictures(4, 1, seed=1), pictures(4, 1, start_step=4)):
        assert all(other[label] != image for label, image in one.items())


def test_streams_of_samples_are_even_and_strangers_to_each_other() -> None:
    generator = np.random.Generator(np.random.PCG64(7))

    def draws(*numbers: int) -> list[float]:
        set_stream(generator, *numbers)
        return list(generator.random(3))

    assert draws(0, 0, 5) == draws(0, 0, 5) != draws(0, 1, 5) != draws(1, 0, 5)
    first = np.array([draws(0, 0, number)[0] for number in range(20_000)])
    assert np.abs(np.histogram(first, bins=10, range=(0, 1))[0] - 2000).max() < 200
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.02
    # A run that goes on must draw what it would have drawn, whatever numpy is installed.
    set_stream(generator, 3, 2, 1)
    assert generator.bit_generator.random_raw(2).tolist() == [4114991422639392568, 8480495281442171003]


def test_a_batch_is_stacked_fields(written: Written) -> None:
    batch = next(batches_of(written(train=5), 5))
    assert {name: (tuple(value.shape), str(value.dtype)) for name, value in batch.items()} == {
        "image": ((5, 3, 2, 3), "torch.uint8"),
        "label": ((5,), "torch.int64"),
    }
    assert [int(image[0, 0, 0]) for image in batch["image"]] == batch["label"].tolist()


def test_evaluation_leaves_no_file_open(written: Written) -> None:
    manifest = written()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(5):
        list(eval_batches(manifest, "val", LabelledImage.decode, as_it_is, batch_size=2))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize(
    ("num_samples", "world_size", "num_workers"),
    [*((samples, world, 0) for samples in (1, 3, 17) for world in WORLD_SIZES), (17, 3, 2)],
)
def test_evaluation_counts_every_sample_once_in_equal_batches(
    written: Written, world_size: int, num_samples: int, num_workers: int
) -> None:
    manifest = written(val=num_samples, train=4, samples_per_shard=5)
    shares = [
        list(
            eval_batches(
                manifest, "val", LabelledImage.decode, as_it_is,
                batch_size=4, rank=rank, world_size=world_size, num_workers=num_workers,
            )
        )
        for rank in range(world_size)
    ]  # fmt: skip
    valid = [batch["label"][batch["valid"]].tolist() for share in shares for batch in share]
    assert list(itertools.chain(*valid)) == list(range(4, 4 + num_samples))
    sizes = [[len(batch["label"]) for batch in share] for share in shares]
    assert all(size == sizes[0] for size in sizes)
    assert sum(sizes[0]) == -(-num_samples // world_size)
    assert max(sizes[0]) <= 4


@pytest.mark.parametrize(("tail", "seen"), [("drop", 32), ("wrap", 40)])
@pytest.mark.parametrize("world_size", [1, 3])
def test_a_tail_may_be_dropped_or_wrapped_so_that_all_batches_are_whole(
    written: Written, tail: Any, seen: int, world_size: int
) -> None:
    manifest = written(train=37, samples_per_shard=5)

    def epoch(number: int) -> list[list[int]]:
        ranks = []
        for rank in range(world_size):
            deal = Deal(37, 8, rank, world_size, tail)
            batches = train_batches(manifest, LabelledImage.decode, as_it_is, deal, seed=0, window=16,
                                    start_step=number * deal.steps_per_epoch)  # fmt: skip
            ranks.append([batch["label"].tolist() for batch in itertools.islice(batches, deal.steps_per_epoch)])
        return [list(itertools.chain(*parts)) for parts in zip(*ranks, strict=True)]

    for one in (epoch(0), epoch(1)):
        assert {len(batch) for batch in one} == {8}
        flat = list(itertools.chain(*one))
        assert len(flat) == seen
        assert len(set(flat)) == min(37, seen)
        assert flat[37:] == flat[: max(0, seen - 37)]
    assert epoch(0) != epoch(1)


def test_resuming_reads_nothing_of_what_was_consumed(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = written(train=37, samples_per_shard=5)
    read: list[tuple[int, int, int]] = []
    pread = os.pread

    def watched(descriptor: int, size: int, offset: int) -> bytes:
        read.append((os.fstat(descriptor).st_ino, offset, size))
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", watched)
    list(itertools.islice(batches_of(manifest, 8), 5))
    whole, read[:] = list(read), []
    resumed = list(itertools.islice(batches_of(manifest, 8, start_step=3), 2))
    assert sum(len(batch["label"]) for batch in resumed) == len(read)
    assert len(read) < len(whole)
    assert set(read) < set(whole)
    assert len(set(whole)) == 37  # and over an epoch, every byte of a sample is read once
