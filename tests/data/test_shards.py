"""Shards: the same bytes each time, plain WebDataset, whole or absent, and checked against what they promise."""

import hashlib
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import webdataset

from wavemix.data import Manifest, Record, read_manifest, verify_shards, write_shards
from wavemix.data.sources import RawSet
from wavemix.errors import DataError

Raw = Callable[..., RawSet]
Written = Callable[..., Manifest]


def test_written_twice_they_are_the_same_bytes(written: Written) -> None:
    def content(manifest: Manifest) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in manifest.folder.iterdir()}

    first, second = written(), written()
    assert first.folder != second.folder
    assert content(first) == content(second)
    assert first.sha256 == second.sha256


# WebDataset leaves closing its files to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in.*train-0:pytest.PytestUnraisableExceptionWarning")
def test_plain_webdataset_reads_them(written: Written) -> None:
    manifest = written(train=10, samples_per_shard=4)
    keys, labels = [], []
    for shard in manifest.splits["train"]:
        for sample in webdataset.WebDataset(str(manifest.folder / shard.name), shardshuffle=False):
            assert sample["png"].startswith(b"\x89PNG")
            keys.append(sample["__key__"])
            labels.append(int(sample["cls"]))
    assert labels == list(range(10))
    assert keys == [f"{number:04d}" for number in range(10)]


def test_plain_tar_reads_them_and_they_hold_nothing_of_this_machine(written: Written) -> None:
    manifest = written(train=5)
    with tarfile.open(manifest.folder / "train-000000.tar") as tar:
        members = tar.getmembers()
    assert [member.name for member in members][:4] == ["0000.cls", "0000.png", "0001.cls", "0001.png"]
    assert {(member.mtime, member.uname, member.gname, member.uid, member.gid) for member in members} == {
        (0, "", "", members[0].uid, members[0].gid)
    }


def test_the_manifest_keeps_its_promises(written: Written) -> None:
    manifest = written(train=10, val=3, test=2, samples_per_shard=4)
    assert {split: [shard.samples for shard in shards] for split, shards in manifest.splits.items()} == {
        "train": [4, 4, 2],
        "val": [3],
        "test": [2],
    }
    for shard in (shard for shards in manifest.splits.values() for shard in shards):
        content = (manifest.folder / shard.name).read_bytes()
        index = manifest.folder / shard.index_name
        assert len(content) == shard.bytes
        assert hashlib.sha256(content).hexdigest() == shard.sha256
        assert hashlib.sha256(index.read_bytes()).hexdigest() == shard.index_sha256
        offsets = np.load(index)
        assert len(offsets) == shard.samples + 1
        assert [content[offset : offset + 4].isdigit() for offset in offsets[:-1]] == [True] * shard.samples
    assert manifest.num_samples("train") == 10
    assert manifest.source == {"name": "tiny", "fingerprint": "fingerprint"}
    assert manifest.classes == ("even", "odd")
    assert verify_shards(manifest) == []


def test_progress_counts_every_sample_of_writing_and_verifying(raw: Raw, tmp_path: Path) -> None:
    wrote: list[int] = []
    read: list[int] = []
    manifest = write_shards(raw(10, 3, 2), tmp_path, name="tiny", source={}, samples_per_shard=4, progress=wrote.append)
    verify_shards(manifest, read.append)
    assert wrote == [1] * 15
    assert read == [4, 4, 2, 3, 2]


@pytest.mark.parametrize("name", ["train-000001.tar", "train-000001.index.npy"])
def test_verify_names_a_flipped_byte_and_a_missing_file(written: Written, name: str) -> None:
    manifest = written()
    path = manifest.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert verify_shards(manifest) == [f"{path}: its content is not what was written"]
    path.unlink()
    assert verify_shards(manifest) == [f"{path}: missing"]


def test_a_failure_in_the_middle_promises_nothing_and_leaves_no_half_shard(raw: Raw, tmp_path: Path) -> None:
    good = raw(10)

    def record(number: int) -> Record:
        if number == 6:
            raise OSError("the disk is gone")
        return good.record(number)

    with pytest.raises(OSError, match="the disk is gone"):
        write_shards(replace(good, record=record), tmp_path, name="tiny", source={}, samples_per_shard=4)
    # The first shard was complete; of the second, at which it happened, there is nothing under any name.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train-000000.index.npy", "train-000000.tar"]
    with pytest.raises(DataError, match="no such file"):
        read_manifest(tmp_path)


def test_the_old_manifest_goes_before_the_first_shard_is_rewritten(raw: Raw, tmp_path: Path) -> None:
    old = write_shards(raw(), tmp_path, name="tiny", source={}, samples_per_shard=4)
    seen: list[bool] = []

    def record(number: int) -> Record:
        seen.append((tmp_path / "manifest.json").exists())
        return raw().record(number)

    again = write_shards(replace(raw(), record=record), tmp_path, name="tiny", source={}, samples_per_shard=4)
    assert not any(seen)
    assert len(seen) == 15
    assert again.sha256 == old.sha256


def test_a_key_may_stand_once_in_a_split(raw: Raw, tmp_path: Path) -> None:
    twice = replace(raw(10), items={"train": [0, 1, 2, 3, 4, 5, 6, 1], "val": [8], "test": [9]})
    with pytest.raises(DataError, match=r"train-000001\.tar: two samples with the key '0001'"):
        write_shards(twice, tmp_path, name="tiny", source={}, samples_per_shard=4)
    assert not (tmp_path / "train-000001.tar").exists()
    assert not (tmp_path / "manifest.json").exists()
    elsewhere = replace(raw(10), items={"train": [0, 1], "val": [0], "test": [0]})
    assert write_shards(elsewhere, tmp_path, name="tiny", source={}, samples_per_shard=4).num_samples("val") == 1


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_samples_is_an_error(raw: Raw, tmp_path: Path, split: str) -> None:
    with pytest.raises(DataError, match=f"^data tiny: no sample for {split}; give it a larger share$"):
        write_shards(raw(**{split: 0}), tmp_path, name="tiny", source={}, samples_per_shard=4)
    assert not (tmp_path / "manifest.json").exists()
