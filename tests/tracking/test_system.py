"""What a node is doing, as rows."""

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from wavemix.tracking import read_rows, sampled_system


def test_rows_come_while_the_block_runs_and_one_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "system-node-0.jsonl"
    with sampled_system(tmp_path, "node-0", every_seconds=0.02):
        deadline = time.monotonic() + 10
        while len(list(read_rows(path))) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        during = len(list(read_rows(path)))
    rows = list(read_rows(path))
    assert during >= 2
    assert len(rows) > during
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert rows[0]["seconds"] > 0
    assert rows[0]["cpus"] == psutil.cpu_count()
    assert 0 <= rows[0]["system/node-0/system_memory_usage_percentage"] <= 100
    assert rows[0]["system/node-0/process_memory_usage_megabytes"] > 1
    assert all(row["system/node-0/network_receive_megabytes"] >= 0 for row in rows)


def test_a_short_block_has_its_row_at_the_end(tmp_path: Path) -> None:
    with sampled_system(tmp_path, "a", every_seconds=3600):
        pass
    assert [row["step"] for row in read_rows(tmp_path / "system-a.jsonl")] == [1]


def test_a_restarted_node_goes_on_counting(tmp_path: Path) -> None:
    for _ in range(3):
        with sampled_system(tmp_path, "a", every_seconds=3600):
            pass
    assert [row["step"] for row in read_rows(tmp_path / "system-a.jsonl")] == [1, 2, 3]


def test_an_error_in_the_block_ends_the_sampling_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="out of memory"), sampled_system(tmp_path, "a", every_seconds=3600):
        raise RuntimeError("out of memory")
    assert len(list(read_rows(tmp_path / "system-a.jsonl"))) == 1
    assert "system-sampler" not in {thread.name for thread in threading.enumerate()}


def test_a_folder_that_cannot_be_written_to_is_told_once_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with sampled_system(tmp_path / "file", "a", every_seconds=0.01):
        time.sleep(0.2)
    (told,) = caplog.records
    assert told.getMessage().startswith("no numbers of what this node is doing: NotADirectoryError: ")


def test_a_file_system_that_was_away_for_a_while_costs_the_rows_of_that_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    path = folder / "system-a.jsonl"

    def wait_until(what: str, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + 30
        while not is_so():
            assert time.monotonic() < until, what
            time.sleep(0.01)

    def num_rows() -> int:
        return len(list(read_rows(path)))

    with sampled_system(folder, "a", every_seconds=0.02):
        wait_until("no rows came", lambda: num_rows() >= 2)
        aside = folder.rename(tmp_path / "aside")
        wait_until("nobody told of it", lambda: bool(caplog.records))
        done = len(list(read_rows(aside / "system-a.jsonl")))
        aside.rename(folder)
        wait_until("no more rows came", lambda: num_rows() >= done + 2)
    assert len(caplog.records) == 1
    steps = [row["step"] for row in read_rows(path)]
    assert steps == list(range(1, len(steps) + 1))


def test_a_node_whose_work_was_begun_anew_elsewhere_writes_no_more(tmp_path: Path) -> None:
    mine = threading.Event()
    mine.set()
    with sampled_system(tmp_path, "node-0", every_seconds=0.05, may_write=mine.is_set):
        until = time.monotonic() + 60
        while not list(read_rows(tmp_path / "system-node-0.jsonl")):
            assert time.monotonic() < until
            time.sleep(0.01)
        mine.clear()
        time.sleep(0.2)
        before = (tmp_path / "system-node-0.jsonl").read_bytes()
    assert (tmp_path / "system-node-0.jsonl").read_bytes() == before
