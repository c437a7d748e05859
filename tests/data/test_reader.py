"""Reading samples by number: every byte is checked, trouble is retried and then named, near or far."""

import os
from collections.abc import Callable

import pytest

from wavemix.data import Manifest, check_present, verify_shards
from wavemix.data.reader import MOST_OPEN, ShardReader
from wavemix.errors import DataError

Written = Callable[..., Manifest]


def numbers_of(reader: ShardReader, numbers: list[int]) -> list[int]:
    return [int(record.parts["cls"]) for record in reader.read(numbers)]


def test_samples_come_in_the_order_that_was_asked_for(written: Written) -> None:
    reader = ShardReader(written(train=23, samples_per_shard=5), "train")
    assert len(reader) == 23
    assert numbers_of(reader, [22, 0, 7, 7, 4, 5]) == [22, 0, 7, 7, 4, 5]
    assert reader[13].key == "0013"


def test_a_shard_that_vanished_is_named_after_several_attempts(written: Written) -> None:
    manifest = written(train=12, samples_per_shard=6)
    reader = ShardReader(manifest, "train", pauses=(0.0, 0.0))
    victim = manifest.folder / "train-000001.tar"
    victim.unlink()
    assert numbers_of(reader, [0, 5]) == [0, 5]
    with pytest.raises(DataError, match=rf"^{victim}, sample 1: cannot be read: No such file.*`wavemix data verify`"):
        reader.read([0, 7])


@pytest.mark.parametrize("damage", ["cut off", "zeros", "shifted", "one bit of a picture"])
def test_a_damaged_sample_is_named_even_if_it_could_be_decoded(written: Written, damage: str) -> None:
    manifest = written(train=12, samples_per_shard=6)
    reader = ShardReader(manifest, "train", pauses=(0.0,))
    assert numbers_of(reader, list(range(12))) == list(range(12))
    shard = manifest.folder / "train-000001.tar"
    content = bytearray(shard.read_bytes())
    row = reader.rows[7]
    if damage == "one bit of a picture":
        content[row["offset"] + row["bytes"] - 500] ^= 1
    changed = {"cut off": content[: row["offset"] + 9], "zeros": bytes(len(content)), "shifted": content[512:]}
    shard.write_bytes(changed.get(damage, content))
    with pytest.raises(DataError, match=rf"^{shard}, sample [01]: "):
        reader.read(list(range(12)))


def test_what_fails_for_a_moment_is_read_at_the_next_attempt(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ShardReader(written(train=4), "train", pauses=(0.0, 0.0))
    pread, failures = os.pread, [OSError(5, "Input/output error"), b"too short"]

    def failing(descriptor: int, size: int, offset: int) -> bytes:
        if failures:
            if isinstance(failure := failures.pop(), Exception):
                raise failure
            return failure
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", failing)
    assert numbers_of(reader, [1, 3]) == [1, 3]
    assert failures == []


@pytest.mark.parametrize("damage", ["missing", "no array", "of another shard"])
def test_a_damaged_index_is_named(written: Written, damage: str) -> None:
    manifest = written(train=10, samples_per_shard=6)
    index = manifest.folder / "train-000001.index.npy"
    if damage == "missing":
        index.unlink()
    else:
        other = manifest.folder / "train-000000.index.npy"
        index.write_bytes(b"no array" if damage == "no array" else other.read_bytes())
    with pytest.raises(DataError, match=rf"{index}: .*train-000001\.tar.*`wavemix data repair tiny`"):
        ShardReader(manifest, "train")


def test_a_split_that_is_not_there_is_named(written: Written) -> None:
    with pytest.raises(DataError, match="no split 'test', only train, val"):
        ShardReader(written(test=0), "test")


def test_few_files_are_open_at_once(written: Written) -> None:
    manifest = written(train=3 * MOST_OPEN, samples_per_shard=2)
    reader = ShardReader(manifest, "train")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    assert numbers_of(reader, list(range(len(reader)))) == list(range(len(reader)))
    assert len(os.listdir("/proc/self/fd")) - before == MOST_OPEN  # noqa: PTH208
    reader.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_shards_elsewhere_are_read_by_ranges_of_bytes(written: Written) -> None:
    import fsspec  # noqa: PLC0415

    manifest = written(train=12, samples_per_shard=5)
    store = fsspec.filesystem("memory")
    for shard in manifest.all_shards():
        store.pipe_file(f"/bucket/tiny/{shard.name}", (manifest.folder / shard.name).read_bytes())
        (manifest.folder / shard.name).unlink()
    (manifest.folder / "location").write_text("memory://bucket/tiny/\n")
    reader = ShardReader(manifest, "train", pauses=(0.0,))
    assert numbers_of(reader, [11, 2, 5]) == [11, 2, 5]
    check_present(manifest)
    assert verify_shards(manifest) == []
    store.pipe_file("/bucket/tiny/val-000000.tar", b"something else")
    (bad,) = verify_shards(manifest)
    assert bad.reason == "memory://bucket/tiny/val-000000.tar: its content is not what was written"
    with pytest.raises(DataError, match=r"^memory://bucket/tiny/val-000000\.tar: found 14 bytes, "):
        check_present(manifest)
    store.rm_file("/bucket/tiny/train-000001.tar")
    with pytest.raises(DataError, match=r"^memory://bucket/tiny/train-000001\.tar, sample 0: cannot be read: "):
        reader.read([2, 5])


def test_a_reader_can_be_sent_to_another_process(written: Written) -> None:
    import multiprocessing  # noqa: PLC0415

    reader = ShardReader(written(train=6), "train")
    assert numbers_of(reader, [1]) == [1]
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        assert [record.key for record in pool.apply(ShardReader.read, (reader, [4, 2]))] == ["0004", "0002"]
