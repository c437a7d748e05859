"""Decides what those who wait are shown; does not know how anything is measured."""

import sys
import time
from collections.abc import Mapping, Sequence


class Progress:
    """Says what is being measured, how much of the whole is done and, by that, the time left."""

    def __init__(self, work: Mapping[str, Sequence[float]]) -> None:
        """Take the work of each phase of each part, in their order and in any unit."""
        self.names = list(work)
        self.work = {name: list(phases) for name, phases in work.items()}
        self.total = sum(map(sum, self.work.values()))
        self.done = self.begun = 0.0
        self.start = time.perf_counter()

    def phase(self, name: str, what: str) -> None:
        """The next phase of a part begins."""
        self.done += self.begun
        self.begun = self.work[name].pop(0)
        self._show(f"{self.names.index(name) + 1}/{len(self.names)} {name}: {what}{self._left(self.done)}", "\n")

    def part(self, share: float) -> None:
        """How much of the present phase is done; shown on a terminal, where it need not stay."""
        if sys.stderr.isatty():
            self._show(f"    {share:.0%} of this{self._left(self.done + share * self.begun)}", "\r")

    def end(self) -> None:
        """Nothing is left."""
        self._show(f"done in {(time.perf_counter() - self.start) / 60:.1f} min", "\n")

    def _left(self, done: float) -> str:
        if not done:  # no rate yet
            return ""
        left = (time.perf_counter() - self.start) * (self.total / done - 1)
        shown = f"{left:.0f} s" if left < 90 else f"{left / 60:.0f} min"
        return f" ({done / self.total:.0%} of all done, about {shown} left)"

    def _show(self, text: str, end: str) -> None:
        clear = "\r\033[K" if sys.stderr.isatty() else ""
        print(clear + text, end=end, file=sys.stderr, flush=True)
