"""Verifying finds every bad file; repairing makes those again, and only those, as they were."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factories import tiny
from wavemix.data import Manifest, Plan, repair_shards, verify_shards
from wavemix.data.raw.items import Parts
from wavemix.errors import DataError
from wavemix.processes import in_processes

Written = Callable[..., Manifest]
Planned = Callable[..., Plan]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["train-000001.tar", "train-000001.index.npy"])
def test_a_flipped_byte_and_a_missing_file_are_named(written: Written, name: str) -> None:
    manifest = written()
    path = manifest.folder / name
    flip(path)
    assert [(bad.shard, bad.reason) for bad in verify_shards(manifest)] == [
        ("train-000001.tar", f"{path}: its content is not what was written")
    ]
    path.unlink()
    assert [bad.reason for bad in verify_shards(manifest)] == [f"{path}: missing"]


def test_several_processes_find_the_same_in_the_same_order(written: Written) -> None:
    manifest = written(train=40)
    for number in (7, 2, 5):
        flip(manifest.folder / f"train-{number:06d}.tar")
    told: list[int] = []
    found = verify_shards(manifest, workers=in_processes(3), progress=told.append)
    assert [bad.shard for bad in found] == [f"train-{number:06d}.tar" for number in (2, 5, 7)]
    assert sum(told) == 45


def test_repair_makes_the_bad_ones_again_and_touches_no_other(written: Written, planned: Planned) -> None:
    manifest = written(train=20)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in manifest.folder.iterdir()}
    flip(manifest.folder / "train-000002.tar")
    (manifest.folder / "val-000000.index.npy").unlink()
    (manifest.folder / "test-000000.tar").unlink()
    bad = verify_shards(manifest)
    assert len(bad) == 3
    repair_shards(manifest, planned(train=20), bad, workers=in_processes(2))
    assert verify_shards(manifest) == []
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in manifest.folder.iterdir()}
    assert {name: content for name, (content, _) in after.items()} == {name: one for name, (one, _) in before.items()}
    mended = {name for name in after if after[name][1] != before[name][1]}
    assert mended == {f"{stem}{end}" for stem in ("train-000002", "val-000000", "test-000000")
                      for end in (".tar", ".index.npy")}  # fmt: skip
    assert [path.name for path in manifest.folder.parent.iterdir()] == [manifest.folder.name]


def test_other_raw_data_repair_nothing(written: Written, planned: Planned) -> None:
    manifest = written(train=20)
    flip(manifest.folder / "train-000000.tar")
    bad = verify_shards(manifest)
    with pytest.raises(DataError, match=r"the raw data or the options have changed .*`wavemix data prepare tiny`"):
        repair_shards(manifest, planned(train=21), bad)


def test_raw_files_that_changed_unseen_are_found(written: Written, planned: Planned) -> None:
    def changed(number: int) -> Parts:
        return tiny.read(number + 1)

    manifest = written(train=20)
    flip(manifest.folder / "train-000000.tar")
    damaged = (manifest.folder / "train-000000.tar").read_bytes()
    plan: Any = planned(train=20)
    plan = replace(plan, raw=replace(plan.raw, read=changed))
    with pytest.raises(DataError, match=r"train-000000\.tar: made again, it has another content"):
        repair_shards(manifest, plan, verify_shards(manifest))
    assert (manifest.folder / "train-000000.tar").read_bytes() == damaged
