"""One shard: plain tar, plain WebDataset, the same bytes each time, and an index that finds every sample."""

import hashlib
import tarfile
from pathlib import Path

import numpy as np
import pytest
import webdataset
from xxhash import xxh3_64_intdigest

from wavemix.data import Record
from wavemix.data.shards import INDEX, _header, read_index, record_of, write_shard

RECORDS = [
    Record("n01/a", {"jpg": b"\xff\xd8" + bytes(700), "cls": b"0"}),
    Record("n01/b", {"png": b"p" * 512, "mask.png": b"m", "cls": b"12"}),
    Record("ünï cöde/c d", {"webp": b"", "cls": b"3"}),
    Record("long/" + "x" * 150, {"jpg": b"long", "cls": b"4"}),
]


def test_plain_tar_reads_it_and_it_holds_nothing_of_this_machine(tmp_path: Path) -> None:
    write_shard(RECORDS, tmp_path / "train-000000.tar")
    with tarfile.open(tmp_path / "train-000000.tar") as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        about = {(member.mtime, member.uname, member.gname, member.uid, member.gid, member.mode) for member in tar}
    assert found == {f"{record.key}.{name}": content for record in RECORDS for name, content in record.parts.items()}
    assert about == {(0, "", "", 0, 0, 0o644)}


# WebDataset leaves closing its files to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in.*train-0:pytest.PytestUnraisableExceptionWarning")
def test_plain_webdataset_reads_it(tmp_path: Path) -> None:
    write_shard(RECORDS, tmp_path / "train-000000.tar")
    samples = list(webdataset.WebDataset(str(tmp_path / "train-000000.tar"), shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == [record.key for record in RECORDS]
    assert samples[1]["mask.png"] == b"m"
    assert [int(sample["cls"]) for sample in samples] == [0, 12, 3, 4]


@pytest.mark.parametrize("name", ["a.cls", "ünï cöde/c d.jpg", "x" * 96 + ".jpg", "x" * 97 + ".jpg", "é" * 60 + ".png"])
@pytest.mark.parametrize("size", [0, 1, 511, 8**10, 8**11 - 1, 8**11])
def test_headers_are_those_of_tarfile(name: str, size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    assert _header(name, size) == member.tobuf(tarfile.GNU_FORMAT, "utf-8")


def test_the_index_finds_and_checks_every_sample(tmp_path: Path) -> None:
    shard = write_shard(RECORDS, tmp_path / "train-000000.tar")
    content = (tmp_path / "train-000000.tar").read_bytes()
    rows = read_index((tmp_path / "train-000000.index.npy").read_bytes())
    assert rows.dtype == INDEX
    assert len(rows) == shard.samples == len(RECORDS)
    for row, record in zip(rows, RECORDS, strict=True):
        block = content[row["offset"] : row["offset"] + row["bytes"]]
        assert record_of(block) == record
        assert xxh3_64_intdigest(block) == row["xxh3"]
    assert shard.bytes == len(content)
    assert shard.sha256 == hashlib.sha256(content).hexdigest()
    index = (tmp_path / shard.index_name).read_bytes()
    assert shard.index_sha256 == hashlib.sha256(index).hexdigest()


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    def written(folder: str, records: list[Record]) -> list[bytes]:
        write_shard(records, tmp_path / folder / "train-000000.tar")
        return [path.read_bytes() for path in sorted((tmp_path / folder).iterdir())]

    other_order = [Record(one.key, dict(reversed(list(one.parts.items())))) for one in RECORDS]
    assert written("a", RECORDS) == written("b", other_order)
    assert written("a", RECORDS) != written("c", RECORDS[::-1])


def test_a_shard_may_be_empty(tmp_path: Path) -> None:
    shard = write_shard([], tmp_path / "val-000000.tar")
    assert shard.samples == 0
    assert read_index((tmp_path / shard.index_name).read_bytes()).shape == (0,)
    with tarfile.open(tmp_path / shard.name) as tar:
        assert tar.getmembers() == []


def test_a_failure_leaves_nothing_under_a_final_name(tmp_path: Path) -> None:
    def broken() -> object:
        yield RECORDS[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write_shard(broken(), tmp_path / "train-000000.tar")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no array", np.zeros(3).tobytes()])
def test_what_is_no_index_is_refused(content: bytes) -> None:
    with pytest.raises((ValueError, EOFError)):
        read_index(content)


def test_blocks_of_two_samples_or_none_are_refused(tmp_path: Path) -> None:
    write_shard(RECORDS[:2], tmp_path / "a.tar")
    content = (tmp_path / "a.tar").read_bytes()
    for block in (content[:-1024], b""):
        with pytest.raises(ValueError, match="no members of one sample"):
            record_of(block)
