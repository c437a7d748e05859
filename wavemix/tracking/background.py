"""The mirror of a run that goes on: when it is sent, and what is done when MLflow does not take it, which is little.

It knows no row and no request; these are ``tracking.mirror``'s.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wavemix.errors import StoppedError, first_line
from wavemix.tracking.mirror import Mirror, note_end
from wavemix.tracking.mlflow import Tracked, load_mlflow

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 2.0
RETRY_EVERY_SECONDS = 20.0
END_SECONDS = 60.0  # a server that has much to catch up with may hold up the end of a run for so long


@contextmanager
def mirrored(tracked: Tracked, run_dir: Path, *, uri: str | None) -> Iterator[threading.Event]:
    """Copy the run's folder to the MLflow at ``uri`` in the background while the block runs; note how the block ended.

    Trouble with MLflow becomes a warning. A server that does not answer holds up the end of the block for five seconds,
    one that has much to catch up with for a minute. The event that it gives is set after the block, if MLflow has
    everything then. None: there is no MLflow.
    """
    (run_dir / "ended.json").unlink(missing_ok=True)
    background = _Background(uri, tracked, run_dir) if uri else None
    status = "FAILED"
    try:
        yield background.complete if background else threading.Event()
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit, StoppedError):
        status = "KILLED"
        raise
    finally:
        note_end(run_dir, status)
        if background:
            background.finish()


class _Background:
    """A thread that calls a mirror again and again, and is left alone when MLflow does not answer."""

    def __init__(self, uri: str, tracked: Tracked, run_dir: Path) -> None:
        self.complete = threading.Event()
        self._uri, self._tracked, self._run_dir = uri, tracked, run_dir
        # A server answers within seconds or not at all; a database may have to be made or migrated first.
        self._patience = 5.0 if uri.startswith("http") else 120.0
        self._began = time.time()
        self._answered_at: float | None = None  # None while MLflow is imported, which takes seconds
        self._stop = threading.Event()
        self._warned = False
        self._mirror: Mirror | None = None
        self._thread = threading.Thread(target=self._run, name="mlflow-mirror", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for the last look, as long as MLflow answers."""
        self._stop.set()
        until = time.monotonic() + max(END_SECONDS, self._patience)
        if self._answered_at is not None:
            self._answered()
        while self._thread.is_alive() and not self._is_silent() and time.monotonic() < until:
            self._thread.join(0.1)
        if not self.complete.is_set():
            log.warning(
                "MLflow at %s lacks a part of this run; `wavemix sync-tracking %s` sends it later",
                self._uri,
                self._tracked.run_key,
            )

    def _is_silent(self) -> bool:
        return self._answered_at is not None and time.monotonic() - self._answered_at > self._patience

    def _answered(self) -> None:
        self._answered_at = time.monotonic()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._stop.wait(LOOK_EVERY_SECONDS if self._send() else RETRY_EVERY_SECONDS)
        if self._send():
            self.complete.set()

    def _send(self) -> bool:
        try:
            load_mlflow()
            self._answered()
            if self._mirror is None:
                where = self._uri, self._tracked, self._run_dir
                self._mirror = Mirror(*where, began=self._began, answered=self._answered)
            self._mirror.send()
        except Exception as error:  # whatever it is: never training's concern
            if not self._warned:
                log.warning("MLflow at %s cannot be reached, training goes on: %s", self._uri, first_line(error))
            self._warned = True
            return False
        if self._warned:
            log.warning("MLflow at %s answers again, and has every number so far", self._uri)
        self._warned = False
        return True
