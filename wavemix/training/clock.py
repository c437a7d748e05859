"""Where a process's time goes: input, compute, communication, checkpoint, evaluation; and its last sign of life.

It knows no loop: whoever does something says what it is.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

PARTS = ("input", "compute", "communication", "checkpoint", "evaluation")


class Clock:
    """Counts the seconds of each part; time within an inner part is not the outer one's."""

    def __init__(self) -> None:
        self.doing, self.alive_at = "start", time.monotonic()
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._since = time.perf_counter()

    @contextmanager
    def on(self, part: str) -> Iterator[None]:
        outer = self._turn_to(part)
        try:
            yield
        finally:
            self._turn_to(outer)

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """The same items, each of them a sign of life: for a part that may last hours."""
        for item in items:
            self.alive_at = time.monotonic()
            yield item

    def read(self) -> dict[str, float]:
        """Seconds of each part since the last reading."""
        self._turn_to(self.doing)
        seconds, self._seconds = self._seconds, dict.fromkeys(PARTS, 0.0)
        return seconds

    def _turn_to(self, part: str) -> str:
        now, before = time.perf_counter(), self.doing
        if before in self._seconds:
            self._seconds[before] += now - self._since
        self.doing, self._since, self.alive_at = part, now, time.monotonic()
        return before
