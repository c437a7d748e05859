"""Decides how measurements are taken, compared and published; does not know what is measured."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One line of a table; what was not compared, or has no goal, is None."""

    name: str
    value: float
    unit: str
    baseline: float | None = None  # the peer's value, from the same run
    ratio: float | None = None  # how many times better than the baseline: above 1 is better, whatever the unit
    goal: float | None = None  # the ratio to reach
    met: bool | None = None


def compared(
    name: str, value: float, unit: str, baseline: float, *, goal: float | None = None, more_is_better: bool = False
) -> Row:
    """The row of a value beside the baseline of the same run.

    Args:
        name: What was measured.
        value: Our value, above 0.
        unit: Unit of value and baseline.
        baseline: The peer's value, above 0.
        goal: The ratio to reach, or None.
        more_is_better: True for rates, False for times and sizes.
    """
    ratio = value / baseline if more_is_better else baseline / value
    return Row(name, value, unit, baseline, ratio, goal, None if goal is None else ratio >= goal)


def interleaved(candidates: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Times calls side by side, so that a disturbance of the machine falls on all candidates alike.

    Args:
        candidates: What to call, by name. Each is called twice before the clock starts.
        rounds: How often to go through all candidates; at least 1.

    Returns:
        The median duration of a call, in seconds, by name.
    """
    for run in candidates.values():
        run()
        run()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def publish(name: str, rows: Sequence[Row]) -> None:
    """Print the rows as a table and write ``benchmarks/results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    machine = _machine()
    content = {"commit": _commit(), "machine": machine, "rows": [asdict(row) for row in rows]}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")

    table = [("", "ours", "baseline", "unit", "ratio", "goal", "met"), *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print(f"\n{name}: {', '.join(f'{key} {value}' for key, value in machine.items())}")
    for first, *others in table:
        print("  ".join((first.ljust(widths[0]), *map(str.rjust, others, widths[1:]))))


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.value:.4g}",
        "-" if row.baseline is None else f"{row.baseline:.4g}",
        row.unit,
        "-" if row.ratio is None else f"{row.ratio:.2f}x",
        "-" if row.goal is None else f"{row.goal:g}x",
        {None: "-", True: "yes", False: "NO"}[row.met],
    )


def _commit() -> str | None:
    """The commit that the project lies at, if it lies in a git repository with one."""
    try:
        command = ["git", "rev-parse", "--verify", "HEAD"]
        result = subprocess.run(command, cwd=RESULTS.parent, capture_output=True, text=True, check=False)
    except OSError:  # no git
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _machine() -> dict[str, str | int | None]:
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
