"""Decides how the table of faults looks: what was done to trainings, and what it cost them.

It does not know how a fault is injected; ``benchmarks/faults.py`` measured it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wavemix.report.parse import field, optional_field, read_json
from wavemix.report.tables import EMPTY, Cell, Row, Table
from wavemix.report.writing import write_number


@dataclass(frozen=True)
class Fault:
    """One training that a fault was injected into, at a random step, and what became of it.

    ``recovered``: it came to its end, by itself or by being run again; ``identical``: with the weights and the curve of
    one that nothing happened to, None where the fault itself makes others. ``seconds`` until the next step was done.
    """

    kind: str
    seed: int
    step: int
    by_itself: bool
    recovered: bool
    identical: bool | None
    steps_redone: int
    samples_lost: int
    seconds: float


@dataclass(frozen=True)
class Faults:
    """``commit`` and ``machine`` say where they were injected."""

    commit: str
    machine: str
    rows: tuple[Fault, ...]


def read_faults(path: Path) -> Faults | None:
    """What was measured; None if it was not.

    Raises:
        DataError: The file is damaged.
    """
    if not path.exists():
        return None
    data = read_json(path)
    rows = tuple(
        Fault(
            kind=field(row, "kind", str, path),
            seed=field(row, "seed", int, path),
            step=field(row, "step", int, path),
            by_itself=field(row, "by_itself", bool, path),
            recovered=field(row, "recovered", bool, path),
            identical=optional_field(row, "identical", bool, path),
            steps_redone=field(row, "steps_redone", int, path),
            samples_lost=field(row, "samples_lost", int, path),
            seconds=field(row, "seconds", float, path),
        )
        for row in field(data, "rows", list, path)
    )
    machine = field(data, "machine", dict, path)
    return Faults(field(data, "commit", str, path), f"{machine['cpu']}, {machine['cores']} cores", rows)


def fault_table(faults: Faults) -> Table:
    """A row per kind of fault, over all of its seeds."""
    commits = " and ".join(commit[:7] for commit in faults.commit.split(", "))
    kinds = dict.fromkeys(fault.kind for fault in faults.rows)
    rows = [_row(kind, [fault for fault in faults.rows if fault.kind == kind]) for kind in kinds]
    return Table(
        f"Faults injected at random steps into a training of the digits, at commit {commits}, on "
        f"{faults.machine}. Same numbers: the weights and the curve of a training that nothing happened to. "
        "Steps redone, and seconds until the next step: the median, and the most.",
        ("Fault", "Times", "Ended well", "Same numbers", "Samples lost", "Steps redone", "Seconds"),
        {"": rows},
    )


def _row(kind: str, faults: Sequence[Fault]) -> Row:
    alone = "by itself" if all(fault.by_itself for fault in faults) else "when run again"
    return (
        Cell(kind, alone),
        Cell(str(len(faults))),
        Cell(str(sum(fault.recovered for fault in faults))),
        _number_of([fault.identical for fault in faults]),
        Cell(write_number(sum(fault.samples_lost for fault in faults))),
        _typical([fault.steps_redone for fault in faults if fault.recovered], "g"),
        _typical([fault.seconds for fault in faults if fault.recovered], ".1f"),
    )


def _number_of(known: Sequence[bool | None]) -> Cell:
    return EMPTY if None in known else Cell(str(known.count(True)))


def _typical(values: Sequence[float], form: str) -> Cell:
    if not values:
        return EMPTY
    return Cell(f"{statistics.median(values):{form}}", f"at most {max(values):{form}}")
