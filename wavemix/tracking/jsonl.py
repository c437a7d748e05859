"""Numbers as lines of JSON: written first and for sure, read by everything that shows them.

One process writes a file; any number may follow it while it grows. It knows no metric and no MLflow.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wavemix.files import write_aside

Row = dict[str, Any]


class JsonLines:
    """Appends rows to a file.

    Args:
        path: Created with its folders when missing.
        last_step: Rows after this step, and a line that was cut short, are what an interrupted run wrote past its last
            checkpoint; they are dropped, since they will be written again.
    """

    def __init__(self, path: Path, *, last_step: int) -> None:
        rows = list(read_rows(path))
        kept = [row for row in rows if row["step"] <= last_step]
        write_aside(path, "".join(_line(row) for row in kept).encode())
        self._path = path

    def write(self, row: Mapping[str, Any]) -> None:
        with self._path.open("a") as file:  # closed at once: a killed process loses no row that it wrote
            file.write(_line(row))


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(dict(row)) + "\n"


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file; none if it is not there. A last line without its end is not yet a row."""
    return iter(Follower(path).new_rows())


class Follower:
    """Reads what has been added to a file since the last look, also when the file was replaced by a shorter one."""

    def __init__(self, path: Path) -> None:
        self._path, self._file_id, self._at = path, 0, 0

    def new_rows(self) -> list[Row]:
        try:
            with self._path.open("rb") as file:
                about = os.fstat(file.fileno())
                if about.st_ino != self._file_id or about.st_size < self._at:
                    self._file_id, self._at = about.st_ino, 0
                file.seek(self._at)
                whole, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._at += len(whole) + len(newline)
        return [json.loads(line) for line in whole.splitlines()]
