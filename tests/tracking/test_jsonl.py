"""Rows of JSON: appended, trimmed when a run goes on, followed while they grow."""

from pathlib import Path

import pytest

from wavemix.tracking import Follower, JsonLines, read_rows
from wavemix.tracking.jsonl import Row


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "metrics.jsonl"


def write(path: Path, steps: list[int], *, last_step: int = 0) -> JsonLines:
    lines = JsonLines(path, last_step=last_step)
    for step in steps:
        lines.write({"step": step, "x": step / 3})
    return lines


def steps(rows: list[Row]) -> list[int]:
    return [row["step"] for row in rows]


def test_rows_are_read_as_written(path: Path) -> None:
    write(path, [1, 2])
    assert list(read_rows(path)) == [{"step": 1, "x": 1 / 3}, {"step": 2, "x": 2 / 3}]


def test_a_row_is_in_the_file_as_soon_as_it_is_written(path: Path) -> None:
    lines = JsonLines(path, last_step=0)
    lines.write({"step": 1})
    assert path.read_text() == '{"step": 1}\n'


def test_no_file_has_no_rows(path: Path) -> None:
    assert list(read_rows(path)) == []


def test_what_was_written_past_the_last_checkpoint_is_dropped(path: Path) -> None:
    write(path, [1, 2, 3, 4])
    write(path, [3, 4, 5], last_step=2)
    assert steps(list(read_rows(path))) == [1, 2, 3, 4, 5]


def test_a_fresh_run_keeps_nothing(path: Path) -> None:
    write(path, [1, 2, 3])
    write(path, [1], last_step=0)
    assert steps(list(read_rows(path))) == [1]


def test_a_line_cut_off_is_no_row_and_goes_when_the_run_goes_on(path: Path) -> None:
    write(path, [1, 2])
    with path.open("a") as file:
        file.write('{"step": 3, "x"')
    assert steps(list(read_rows(path))) == [1, 2]
    write(path, [3], last_step=10)
    assert steps(list(read_rows(path))) == [1, 2, 3]


def test_a_follower_sees_each_row_once_while_the_file_grows(path: Path) -> None:
    follower = Follower(path)
    assert follower.new_rows() == []
    lines = write(path, [1, 2])
    assert steps(follower.new_rows()) == [1, 2]
    assert follower.new_rows() == []
    lines.write({"step": 3})
    with path.open("a") as file:
        file.write('{"step": ')
    assert steps(follower.new_rows()) == [3]
    with path.open("a") as file:
        file.write("4}\n")
    assert steps(follower.new_rows()) == [4]


def test_a_follower_starts_over_when_the_file_is_replaced(path: Path) -> None:
    write(path, [1, 2, 3, 4])
    follower = Follower(path)
    assert steps(follower.new_rows()) == [1, 2, 3, 4]
    lines = write(path, [], last_step=2)
    assert steps(follower.new_rows()) == [1, 2]
    lines.write({"step": 3})
    assert steps(follower.new_rows()) == [3]


def test_a_follower_starts_over_when_the_new_file_is_longer_than_the_old_one_was(path: Path) -> None:
    write(path, [1, 2, 3])
    follower = Follower(path)
    follower.new_rows()
    write(path, [2, 3, 4, 5], last_step=1)
    assert steps(follower.new_rows()) == [1, 2, 3, 4, 5]


def test_a_follower_starts_over_when_the_same_file_became_shorter(path: Path) -> None:
    write(path, [1, 2, 3])
    follower = Follower(path)
    follower.new_rows()
    path.write_text('{"step": 7}\n')
    assert steps(follower.new_rows()) == [7]
