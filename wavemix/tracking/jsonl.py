"""Numbers as lines of JSON: written first and for sure, read by everything that shows them.

One process writes a file; any number may follow it while it grows. It knows no metric and no MLflow.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from wavemix.files import written_aside

log = logging.getLogger(__name__)

Row = dict[str, Any]


class JsonLines:
    """Appends rows to a file.

    Args:
        path: Created with its folders when missing.
        last_step: Rows after this step, and a line that was cut short, are what an interrupted run wrote past its last
            checkpoint; they are dropped, since they will be written again.
    """

    def __init__(self, path: Path, *, last_step: int) -> None:
        with written_aside(path) as file:
            file.writelines(_line(row).encode() for row in read_rows(path) if row["step"] <= last_step)
        self._path = path

    def write(self, row: Mapping[str, Any]) -> None:
        append_row(self._path, row)  # closed at once: a killed process loses no row that it wrote


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row to a file that several processes write to: a short line is appended as a whole."""
    with path.open("a") as file:
        file.write(_line(row))


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(dict(row)) + "\n"


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file; none if it is not there. A last line without its end is not yet a row."""
    follower = Follower(path)
    while rows := follower.new_rows(1000):
        yield from rows


class Follower:
    """Reads what has been added to a file since the last look, also when the file was replaced by a shorter one."""

    def __init__(self, path: Path) -> None:
        self._path, self._file_id, self._at = path, 0, 0

    def new_rows(self, most: int | None = None) -> list[Row]:
        """``most`` of them at most; None: all."""
        with self.next_rows(most) as rows:
            return rows

    @contextmanager
    def next_rows(self, most: int | None) -> Iterator[list[Row]]:
        """The new rows, which come again at the next look if the block fails."""
        rows: list[Row] = []
        file_id, at = self._file_id, self._at
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            about = os.fstat(file.fileno())
            if about.st_ino != file_id or about.st_size < at:
                file_id, at = about.st_ino, 0
            file.seek(at)
            for line in islice(file, most):
                if not line.endswith(b"\n"):
                    break
                at += len(line)
                rows += self._row(line)
        yield rows
        self._file_id, self._at = file_id, at

    def _row(self, line: bytes) -> list[Row]:
        try:
            return [json.loads(line)]
        except ValueError:  # a machine that lost its power, or a full disk, leaves such a line
            log.warning("%s: left out a damaged line of %d bytes", self._path, len(line))
            return []
