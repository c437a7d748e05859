"""How a run is told to stop: by a file in its folder, which a SIGTERM to any of its drivers writes.

A file, because workers may be on other machines, and in threads that hear no signal. It knows no training.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


def is_asked_to_stop(run_dir: Path) -> bool:
    return (run_dir / "stop").exists()


def ask_to_stop(run_dir: Path) -> None:
    (run_dir / "stop").touch()


def forget_stop(run_dir: Path) -> None:
    """To be called by one process, before others look."""
    (run_dir / "stop").unlink(missing_ok=True)


@contextmanager
def stopped_by_sigterm(run_dir: Path) -> Iterator[None]:
    """Make a SIGTERM to this process ask the run to save and stop while the block runs.

    Further ones ask for the same: many programs send it to a process and to its group at once. Elsewhere than in the
    main thread, where signals cannot be heard, the block just runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(_signal: int, _frame: FrameType | None) -> None:
        ask_to_stop(run_dir)

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
