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
    share: float | None = None  # of the multiply-adds that the machine's matrix product does in the same time
    baseline_share: float | None = None  # the peer's


def compared(
    name: str,
    value: float,
    unit: str,
    baseline: float,
    *,
    goal: float | None = None,
    more_is_better: bool = False,
    share: float | None = None,
    baseline_share: float | None = None,
) -> Row:
    """The row of a value beside the baseline of the same run.

    Args:
        name: What was measured.
        value: Our value, above 0.
        unit: Unit of value and baseline.
        baseline: The peer's value, above 0.
        goal: The ratio to reach, or None.
        more_is_better: True for rates, False for times and sizes.
        share: Our share of the machine's matrix-product rate, or None.
        baseline_share: The peer's.
    """
    ratio = value / baseline if more_is_better else baseline / value
    met = None if goal is None else ratio >= goal
    return Row(name, value, unit, baseline, ratio, goal, met, share, baseline_share)


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warm_up: int = 2,
    on_round: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Times calls side by side, so that a disturbance of the machine falls on all candidates alike.

    Args:
        candidates: What to call, by name.
        rounds: How often to go through all candidates; at least 1.
        warm_up: How often to call each before the clock starts.
        on_round: Told the number of rounds done, after each, for those who wait; outside of what is timed.

    Returns:
        The median duration of a call, in seconds, by name.
    """
    for run in candidates.values():
        for _ in range(warm_up):
            run()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for done in range(1, rounds + 1):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
        if on_round is not None:
            on_round(done)
    return {name: statistics.median(values) for name, values in seconds.items()}


def publish(name: str, rows: Sequence[Row], notes: Sequence[str] = (), *, save: bool = True) -> None:
    """Print the rows as a table and write ``benchmarks/results/NAME.json``.

    Args:
        name: Of the benchmark.
        rows: In the order of the table.
        notes: What a reader of the numbers must know, a sentence each; below the table, and in the file.
        save: Whether to write the file: not for a part of a benchmark.
    """
    about = machine()
    if save:
        RESULTS.mkdir(exist_ok=True)
        content = {"commit": commit(), "machine": about, "rows": [asdict(row) for row in rows]}
        content |= {"notes": list(notes)} if notes else {}
        (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")

    header = ("", "value", "baseline", "unit", "ratio", "goal", "met", "of matmul", "baseline's")
    cells = [_cells(row) for row in rows]
    # Columns that nobody filled are left out.
    columns = [(title, *column) for title, *column in zip(header, *cells, strict=True) if set(column) != {"-"}]
    widths = [max(map(len, column)) for column in columns]
    print(f"\n{name}: {', '.join(f'{key} {value}' for key, value in about.items())}")
    for first, *others in zip(*columns, strict=True):
        print("  ".join((first.ljust(widths[0]), *map(str.rjust, others, widths[1:]))))
    for note in notes:
        print(f"* {note}")


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.value:.4g}",
        "-" if row.baseline is None else f"{row.baseline:.4g}",
        row.unit,
        "-" if row.ratio is None else f"{row.ratio:.2f}x",
        "-" if row.goal is None else f"{row.goal:.3g}x",
        {None: "-", True: "yes", False: "NO"}[row.met],
        "-" if row.share is None else f"{row.share:.0%}",
        "-" if row.baseline_share is None else f"{row.baseline_share:.0%}",
    )


def commit() -> str | None:
    """The commit that the project lies at, if it lies in a git repository with one."""
    try:
        command = ["git", "rev-parse", "--verify", "HEAD"]
        result = subprocess.run(command, cwd=RESULTS.parent, capture_output=True, text=True, check=False)
    except OSError:  # no git
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def machine() -> dict[str, str | int | None]:
    return {
        **({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}),
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
