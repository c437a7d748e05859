"""Decides what counts as a well-formed result file, and says it in a DataError where one is not.

It does not know which files a run writes, or what their numbers mean.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from wavemix.errors import DataError

T = TypeVar("T")

AGAIN = "`dvc repro` writes it again."


def damaged(path: Path, what: str) -> DataError:
    """The error for a file that is there but not as it should be: what is wrong, where, what to do."""
    return DataError(f"{what}\n  in {path}\n  {AGAIN}")


def read_text(path: Path) -> str:
    """The UTF-8 text of a file.

    Raises:
        DataError: If it is missing, unreadable or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataError(f"No file {path}\n  {AGAIN}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, f"Not a readable UTF-8 text ({error.__class__.__name__}).") from error


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        DataError: If it is missing or not JSON.
    """
    try:
        return json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise damaged(path, f"Not JSON: {error}.") from error


def field(data: object, name: str, kind: type[T], path: Path) -> T:
    """The value under a name in a JSON object.

    A whole number also serves where a float is asked for; true and false never serve as numbers.

    Raises:
        DataError: If the name is missing or its value is of another kind.
    """
    if not isinstance(data, Mapping) or name not in data:
        raise damaged(path, f"No field '{name}'.")
    value: object = data[name]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise damaged(path, f"Field '{name}' should be of type {kind.__name__} and is {_short(value)}.")
    return value


def optional_field(data: object, name: str, kind: type[T], path: Path) -> T | None:
    """As ``field``, with None where the name is missing or null."""
    if isinstance(data, Mapping) and data.get(name) is None:
        return None
    return field(data, name, kind, path)


def sub_folders(parent: Path) -> list[Path]:
    """Sub-folders by name, without those that hold no file: DVC leaves such behind when a stage failed."""
    if not parent.is_dir():
        return []
    folders = (path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path for path in folders if any(f.is_file() and f.name[0] != "." for f in path.rglob("*")))


def read_csv(path: Path, required: Sequence[str]) -> tuple[list[str], list[dict[str, str]]]:
    """Column names in file order, and the rows as name -> cell.

    Raises:
        DataError: If the file is missing, a required column is missing, a column comes twice, or a row has more or
            fewer cells than the header (the usual sign of a file that was cut off).
    """
    lines = list(csv.reader(read_text(path).splitlines()))
    columns = lines[0] if lines else []
    missing = [name for name in required if name not in columns]
    if missing:
        raise damaged(path, f"No column {', '.join(repr(name) for name in missing)} in the first line.")
    if len(set(columns)) != len(columns):
        raise damaged(path, "A column comes twice in the first line.")
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if not cells:  # an empty line
            continue
        if len(cells) != len(columns):
            raise damaged(path, f"Line {number} has {len(cells)} cells where the header has {len(columns)}.")
        rows.append(dict(zip(columns, cells, strict=True)))
    return columns, rows


def number(cell: str, column: str, path: Path) -> float:
    """A cell as a float; "nan" and "inf" are numbers too, as a run that diverged writes them.

    Raises:
        DataError: If it is not a number.
    """
    try:
        return float(cell)
    except ValueError as error:
        raise damaged(path, f"Column '{column}' should hold numbers and holds {_short(cell)}.") from error


def whole(cell: str, column: str, path: Path) -> int:
    """A cell as a whole number of at least 0.

    Raises:
        DataError: If it is anything else.
    """
    value = number(cell, column, path)
    if value < 0 or value != value // 1:
        raise damaged(path, f"Column '{column}' should hold whole numbers from 0 and holds {_short(cell)}.")
    return int(value)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
