"""Preparing: the same bytes whoever writes, gone on with after a kill, and no folder that promises too much."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factories import tiny
from wavemix.data import Manifest, Options, Plan, make_plan, read_manifest, verify_shards, write_shards
from wavemix.data.prepare import in_this_process
from wavemix.data.raw.items import Item, Parts, RawSet
from wavemix.errors import DataError
from wavemix.processes import in_processes

Written = Callable[..., Manifest]
Planned = Callable[..., Plan]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_written_twice_they_are_the_same_bytes(written: Written) -> None:
    first, second = written(), written()
    assert first.folder != second.folder
    assert content(first.folder) == content(second.folder)
    assert first.sha256 == second.sha256


def test_the_bytes_do_not_depend_on_the_number_of_processes(written: Written, planned: Planned, tmp_path: Path) -> None:
    one = written(train=40, samples_per_shard=4)
    four = write_shards(planned(train=40, samples_per_shard=4), tmp_path / "four", workers=in_processes(4))
    assert content(one.folder) == content(four.folder)


def test_the_manifest_keeps_its_promises(written: Written) -> None:
    manifest = written(train=10, val=3, test=2, samples_per_shard=4)
    assert {split: [shard.samples for shard in shards] for split, shards in manifest.splits.items()} == {
        "train": [4, 4, 2],
        "val": [3],
        "test": [2],
    }
    assert sorted(content(manifest.folder)) == sorted(
        ["manifest.json", *(name for shard in manifest.all_shards() for name in (shard.name, shard.index_name))]
    )
    assert manifest.num_samples("train") == 10
    assert (manifest.schema, manifest.fingerprint, manifest.source) == (
        "labelled_image", "fingerprint", {"name": "tiny"},
    )  # fmt: skip
    assert manifest.options["samples_per_shard"] == 4
    assert manifest.rejected == ()
    assert verify_shards(manifest) == []


def test_the_training_samples_are_mixed_by_the_seed_and_the_others_are_not() -> None:
    def order(seed: int | None) -> dict[str, list[int]]:
        how = Options(samples_per_shard=5, shuffle_seed=seed)
        plan = make_plan(tiny.raw_set(train=20, val=4), name="tiny", source={}, options=how)
        return {split: [item.what for job in plan.jobs if job.split == split for item in job.items] for split in
                ("train", "val")}  # fmt: skip

    plain, mixed = order(None), order(0)
    assert plain["train"] == list(range(20))
    assert mixed == order(0)
    assert mixed["train"] != order(1)["train"] != plain["train"]
    assert sorted(mixed["train"]) == plain["train"]
    assert mixed["val"] == plain["val"] == [20, 21, 22, 23]


def test_progress_counts_every_sample(planned: Planned, tmp_path: Path) -> None:
    told: list[int] = []
    write_shards(planned(train=10, val=3, test=2), tmp_path / "a", progress=told.append)
    assert told == [0, 4, 4, 2, 3, 2]


def test_done_already_nothing_is_written(planned: Planned, written: Written) -> None:
    manifest = written()
    before = {path: path.stat().st_mtime_ns for path in manifest.folder.iterdir()}

    def nobody(*_: Any) -> Any:
        raise AssertionError("nothing was left to do")

    told: list[int] = []
    again = write_shards(planned(), manifest.folder, workers=nobody, progress=told.append)
    assert again == manifest
    assert told == [15]
    assert {path: path.stat().st_mtime_ns for path in manifest.folder.iterdir()} == before


def test_a_missing_shard_of_a_finished_folder_is_told(planned: Planned, written: Written) -> None:
    manifest = written()
    (manifest.folder / "train-000001.tar").unlink()
    with pytest.raises(DataError, match=r"train-000001\.tar: found None bytes.*`wavemix data repair tiny`"):
        write_shards(planned(), manifest.folder)


def test_what_an_older_version_wrote_is_replaced(planned: Planned, written: Written) -> None:
    manifest = written()
    (manifest.folder / "manifest.json").write_text('{"format": 1}')
    assert write_shards(planned(), manifest.folder).sha256 == manifest.sha256


def test_other_options_replace_the_folder_at_the_end(planned: Planned, written: Written) -> None:
    old = written(train=10, samples_per_shard=4)
    during: list[str] = []

    def watching(function: Any, arguments: Any) -> Any:
        for argument in arguments:
            during.append(read_manifest(old.folder).sha256)  # the old ones are whole until the new ones are
            yield function(argument)

    new = write_shards(planned(train=10, samples_per_shard=3), old.folder, workers=watching)
    assert set(during) == {old.sha256}
    assert new.sha256 != old.sha256
    assert [path.name for path in old.folder.parent.iterdir()] == [old.folder.name]


def test_stopped_and_started_again_only_the_missing_shards_are_written(planned: Planned, tmp_path: Path) -> None:
    plan, done = planned(train=12, samples_per_shard=4), []

    def stopping(function: Any, arguments: Any) -> Any:
        for argument in arguments[:2]:
            done.append(argument.name)
            yield function(argument)
        raise KeyboardInterrupt

    def going_on(function: Any, arguments: Any) -> Any:
        assert not {argument.name for argument in arguments} & set(done)
        return in_this_process(function, arguments)

    with pytest.raises(KeyboardInterrupt):
        write_shards(plan, tmp_path / "a", workers=stopping)
    assert not (tmp_path / "a").exists()
    told: list[int] = []
    manifest = write_shards(plan, tmp_path / "a", workers=going_on, progress=told.append)
    assert told[0] == 8
    assert content(manifest.folder) == content(write_shards(plan, tmp_path / "b").folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_killed_before_the_last_rename_nothing_is_written_again(planned: Planned, tmp_path: Path) -> None:
    plan = planned()
    whole = write_shards(plan, tmp_path / "a")
    whole.folder.rename(tmp_path / f".a-{plan.digest[:12]}.unfinished")
    again = write_shards(plan, tmp_path / "a", workers=lambda *_: pytest.fail("nothing was left to do"))
    assert again.sha256 == whole.sha256


def test_a_shard_that_was_cut_off_behind_its_note_is_written_again(planned: Planned, tmp_path: Path) -> None:
    plan = planned(train=12)

    def stopping(function: Any, arguments: Any) -> Any:
        yield function(arguments[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(plan, tmp_path / "a", workers=stopping)
    (shard,) = (tmp_path / f".a-{plan.digest[:12]}.unfinished").glob("train-*.tar")
    os.truncate(shard, 100)
    assert content(write_shards(plan, tmp_path / "a").folder) == content(write_shards(plan, tmp_path / "b").folder)


def test_two_at_once_are_refused(planned: Planned, tmp_path: Path) -> None:
    plan = planned()

    def meanwhile(function: Any, arguments: Any) -> Any:
        with pytest.raises(DataError, match="another process is writing there"):
            write_shards(plan, tmp_path / "a")
        return in_this_process(function, arguments)

    write_shards(plan, tmp_path / "a", workers=meanwhile)


KILLED = """
    import sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from factories import tiny
    from wavemix.data import Options, make_plan, write_shards
    from wavemix.processes import in_processes

    if __name__ == "__main__":
        raw = tiny.raw_set(train=60, val=10, test=10, seconds=0.02)
        plan = make_plan(raw, name="tiny", source={{}}, options=Options(samples_per_shard=5))
        write_shards(plan, Path({folder!r}), workers=in_processes({workers}))
"""


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("workers", [1, 4])
def test_killed_at_random_moments_it_ends_with_the_same_bytes(tmp_path: Path, workers: int) -> None:
    folder, script = tmp_path / "killed", tmp_path / "script.py"
    tests = str(Path(tiny.__file__).parent.parent)
    script.write_text(textwrap.dedent(KILLED.format(tests=tests, folder=str(folder), workers=workers)))
    chance = random.Random(workers)
    for _ in range(20):
        started = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
        before = set(tmp_path.glob(".killed*/.*.partial"))
        while set(tmp_path.glob(".killed*/.*.partial")) <= before and started.poll() is None:
            time.sleep(0.005)  # until it writes
        try:
            done: int | None = started.wait(timeout=chance.uniform(0.0, 0.7))
        except subprocess.TimeoutExpired:
            done = None
            started.send_signal(signal.SIGKILL)  # its workers see that, and end as well
            started.wait()
        assert all(name.endswith((".tar", ".npy", ".json", "lock", "done", ".partial")) for name in
                   (path.name for path in tmp_path.glob(".killed*/*")))  # fmt: skip
        if done is not None:
            break
    assert done == 0
    plan = make_plan(
        tiny.raw_set(train=60, val=10, test=10, seconds=0.02), name="tiny", source={},
        options=Options(samples_per_shard=5),
    )  # fmt: skip
    assert content(folder) == content(write_shards(plan, tmp_path / "whole").folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "script.py", "whole"]


# --- what is refused -----------------------------------------------------------------------------------------------


def broken(number: int) -> Parts:
    return {"image": b""} if number % 5 == 3 else tiny.read(number)


@pytest.fixture
def faulty() -> Plan:
    raw = replace(tiny.raw_set(train=20, val=5, test=0), read=broken)
    return make_plan(raw, name="tiny", source={}, options=Options(samples_per_shard=4))


def test_broken_pictures_are_left_out_by_name_and_reason(faulty: Plan, tmp_path: Path) -> None:
    manifest = write_shards(faulty, tmp_path / "a", max_rejected=0.2)
    assert [(one.split, one.key) for one in manifest.rejected] == [
        *(("train", f"{number:04d}") for number in (3, 8, 13, 18)),
        ("val", "0023"),
    ]
    assert {one.reason for one in manifest.rejected} == {"image: empty"}
    assert manifest.num_samples("train") + manifest.num_samples("val") == 20


def test_too_many_broken_pictures_are_an_error_that_names_some(faulty: Plan, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0003: image: empty; 0008: image: empty\nmore than max_rejected \(0\.1\)"):
        write_shards(faulty, tmp_path / "a", max_rejected=0.1)
    assert not (tmp_path / "a").exists()
    # After a higher limit, what was done is not done again.
    told: list[int] = []
    write_shards(faulty, tmp_path / "a", max_rejected=0.2, progress=told.append)
    assert told[0] > 0


def test_a_raw_file_that_cannot_be_read_is_no_rejected_sample(tmp_path: Path) -> None:
    def gone(_: int) -> Parts:
        raise DataError("raw/archive.tar: cannot read 0001.jpg: Input/output error")

    plan = make_plan(replace(tiny.raw_set(), read=gone), name="tiny", source={}, options=Options(samples_per_shard=4))
    with pytest.raises(DataError, match="Input/output error"):
        write_shards(plan, tmp_path / "a", max_rejected=1.0)


def make(raw: RawSet, **how: Any) -> Plan:
    return make_plan(raw, name="tiny", source={}, options=Options(samples_per_shard=4), **how)


def test_a_key_may_stand_once_in_a_split() -> None:
    raw = tiny.raw_set()
    with pytest.raises(DataError, match=r"^data tiny: two samples of train with the key '0001'; keys must be unique$"):
        make(replace(raw, items={"train": [Item("0001", 0, 0), Item("0002", 0, 0), Item("0001", 0, 1)]}))
    make(replace(raw, items={"train": [Item("0001", 0, 0)], "val": [Item("0001", 0, 0)]}))


def test_a_split_without_samples_is_an_error() -> None:
    with pytest.raises(DataError, match=r"^data tiny: no sample for val; give it a larger share$"):
        make(replace(tiny.raw_set(), items={"train": [Item("a", 0, 0)], "val": []}))


def test_missing_samples_are_an_error_unless_a_subset_is_meant() -> None:
    raw = replace(tiny.raw_set(train=10, val=3, test=0), expected={"train": 1_281_167, "val": 3})
    with pytest.raises(DataError) as caught:
        make(raw)
    assert "train 10 of 1,281,167, val 3 of 3" in str(caught.value)
    assert "subset: true" in str(caught.value)
    assert make(raw, subset=True).num_samples == 13


def test_the_plan_changes_with_everything_that_changes_the_bytes() -> None:
    raw = tiny.raw_set()

    def digest(raw: RawSet, source: dict[str, Any] | None = None, **how: Any) -> str:
        options = Options(**{"samples_per_shard": 4, **how})
        return make_plan(raw, name="tiny", source=source or {}, options=options).digest

    plans = [
        digest(raw),
        digest(replace(raw, fingerprint="other")),
        digest(replace(raw, classes=("one", "two", *map(str, range(100))))),
        digest(replace(raw, items={**raw.items, "val": [Item("0010", 7, 10)]})),
        digest(raw, source={"size": "large"}),
        digest(raw, samples_per_shard=5),
        digest(raw, shuffle_seed=1),
        digest(raw, check=False),
        digest(raw, shortest_side=256),
        digest(raw, shortest_side=256, jpeg_quality=90),
    ]
    assert len(set(plans)) == len(plans)
    assert digest(raw) == plans[0]
