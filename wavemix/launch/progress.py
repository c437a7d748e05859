"""How far a long job is: a bar with rate and time left on a terminal, a plain line now and then elsewhere.

It reads counts and rows that others wrote, and changes nothing.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from wavemix.tracking import FAULTS, Follower

PLAIN_EVERY_SECONDS = 10.0


@contextmanager
def counted(what: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """A callable to be told how many were done since the last call; shows their rate and the time left.

    Its first call only begins the count: processes had to start, and of a continued job some was done before.
    """
    started, first, done = 0.0, None, 0
    with bar(what, total) as show:

        def advance(count: int) -> None:
            nonlocal started, first, done
            done += count
            if first is None:
                started, first = time.perf_counter(), done
            rate = (done - first) / max(time.perf_counter() - started, 1e-9)
            show(done, f"{rate:,.{0 if rate >= 10 else 2}f} {unit}/s" if rate else "", done == total)

        yield advance


@contextmanager
def so_far(what: str) -> Iterator[Callable[[str, int], None]]:
    """A callable to be told what is going on and how far it is, where nobody knows the end; silent for two seconds."""
    shown = time.perf_counter()
    line_ends = ""

    def told(doing: str, count: int) -> None:
        nonlocal shown, line_ends
        now = time.perf_counter()
        if now - shown >= (2.0 if sys.stderr.isatty() else PLAIN_EVERY_SECONDS):
            shown = now
            start, line_ends = ("\r\033[K", "\n") if sys.stderr.isatty() else ("", "")
            print(f"{start}{what}: {doing}: {count:,}", end="" if line_ends else "\n", file=sys.stderr, flush=True)

    yield told
    print(end=line_ends, file=sys.stderr)


@contextmanager
def downloading() -> Iterator[Callable[[str, int, int], None]]:
    """A callable to be told what comes and how many bytes of how many (0: nobody knows) there are; shows their rate."""
    begun: tuple[str, int, float] = ("", 0, 0.0)
    shown = 0.0
    terminal = sys.stderr.isatty()

    def told(what: str, done: int, total: int) -> None:
        nonlocal begun, shown
        now = time.perf_counter()
        if what != begun[0]:
            begun, shown = (what, done, now), 0.0
        if done != total and now - shown < (0.2 if terminal else PLAIN_EVERY_SECONDS):
            return
        shown = now
        rate = (done - begun[1]) / max(now - begun[2], 1e-3)
        left = f", {(total - done) / rate:,.0f} s left" if rate and done < total else ""
        of = f" of {total / 1e6:,.1f}" if total else ""
        line = f"{what}: {done / 1e6:,.1f}{of} MB, {rate / 1e6:,.1f} MB/s{left}"
        if terminal:
            print(f"\r\033[K{line}", end="\n" if done == total else "", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    yield told


@contextmanager
def watched(name: str, run_dir: Path, *, most_steps: int) -> Iterator[None]:
    """Show a training by the rows that it writes, and what befalls it, wherever its processes are, while a block runs.

    ``most_steps``: of a training in which no phase ends early.
    """
    follower, faults, stop = Follower(run_dir / "metrics.jsonl"), Follower(run_dir / FAULTS), threading.Event()
    for one in (follower, faults):
        one.new_rows()  # of a continued run: they were shown before

    def follow(show: "Show") -> None:
        loss, rate, text, step = "", "", "", None
        while True:
            ending = stop.wait(0.3)
            for row in faults.new_rows():
                print(f"{name}: {row['text']}", file=sys.stderr, flush=True)
            rows = follower.new_rows()
            for row in rows:
                if "train/loss" in row:
                    loss, rate = f"loss {row['train/loss']:.4f}", f"{row['train/samples_per_second']:,.0f} samples/s"
                scores = [f"{key[5:]} {value:.4f}" for key, value in row.items() if key.startswith("eval/")]
                text, step = "  ".join([loss, *scores, rate]), row["step"]
            if step is not None and (rows or ending):  # the last of them: after a restart all come again
                show(step, text, ending)
            if ending:
                return

    with bar(name, most_steps) as show:
        thread = threading.Thread(target=follow, args=(show,), name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


Show = Callable[[int, str, bool], None]
"""(done, text, whether this is the last call)"""


@contextmanager
def bar(what: str, total: int) -> Iterator[Show]:
    """A callable that shows how much of ``total`` is done, with the time left."""
    if not sys.stderr.isatty():
        yield _plain(what, total)
        return
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    ]
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total, text="")
        begun = False

        def show(done: int, text: str, _last: bool) -> None:
            nonlocal begun
            if not begun:  # of a continued run some was done before, and tells nothing of the rate
                progress.reset(task, completed=done, text=text)
            begun = True
            progress.update(task, completed=done, text=text)

        yield show


def _plain(what: str, total: int) -> Show:
    started, first, shown = time.perf_counter(), 0, time.perf_counter()

    def show(done: int, text: str, last: bool) -> None:
        nonlocal started, first, shown
        now = time.perf_counter()
        if not first:  # the processes had to start, and a continued run has not done these now
            started, first = now, done
        if last or now - shown >= PLAIN_EVERY_SECONDS:
            shown = now
            left = f"  {(now - started) * (total - done) / (done - first):.0f} s left" if done > first else ""
            print(f"{what}: {done}/{total} ({100 * done // total} %)  {text}{left}", file=sys.stderr, flush=True)

    return show
