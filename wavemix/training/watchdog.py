"""Ends a process that hangs: a run that stands still for ever is worse than one that is started again.

It knows the clock's signs of life, and nothing of what the process does.
"""

import faulthandler
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wavemix.training.clock import Clock

EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h: to be tried again."""


@contextmanager
def watchdog(clock: Clock, seconds: float, stacks: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """End this process if the clock gives no sign of life for so long while the block runs.

    A stuck process cannot be mended from within: threads wait in libraries for what will never come. So it tells what
    it was doing, writes the stacks of all its threads to the file ``stacks``, and exits with ``EXIT_CODE``.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.wait(min(1.0, seconds / 4)):
            silent = time.monotonic() - clock.alive_at
            if silent > seconds:
                with stacks.open("w") as file:
                    faulthandler.dump_traceback(file, all_threads=True)
                tell(
                    f"no sign of life for {silent:.0f} s (launch.hang_seconds: {seconds:g}) in {clock.doing}; "
                    f"ends itself, stacks are in {stacks}"
                )
                os._exit(EXIT_CODE)

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
