"""Copies of a run's checkpoints in a second place: made while training goes on, brought back when a machine is lost.

Which checkpoints are kept is decided where they are saved. It knows no loop, and of a checkpoint only the best one that
it names. Once training runs, trouble with the place is a warning and never an error.
"""

import logging
import os
import shutil
import threading
from pathlib import Path
from typing import Any

from wavemix.errors import CheckpointError, first_line
from wavemix.training.checkpoint import META, checkpoints, folder_of, place_of, read_meta
from wavemix.training.store import Store, open_store

PAUSES = (1.0, 5.0, 25.0)
"""Seconds before each further try; the store's library tries each request again by itself."""

HELD = ".uploading"
"""The folder, beside the checkpoints, of what is being copied: hard links, so that a checkpoint may be deleted."""

log = logging.getLogger(__name__)


class Copies:
    """Copies made by a thread, one set of checkpoints at a time. For one rank to have.

    Raises:
        CheckpointError: Nothing that is installed knows this kind of URL.
    """

    def __init__(self, url: str) -> None:
        self._store = open_store(url)
        self._lock = threading.Lock()
        self._asked, self._failing = 0, False
        self._waiting: Path | None = None  # what is held of the last set asked for, until its turn
        self._newer, self._idle = threading.Event(), threading.Event()
        self._idle.set()

    def copy(self, root: Path) -> None:
        """Have the place hold the checkpoints that ``root`` holds now, and no older ones; returns at once.

        What still waits for its turn is replaced; what is being copied is copied to its end.
        """
        if not self._asked:
            shutil.rmtree(root / HELD, ignore_errors=True)  # of a process that was killed
        self._asked += 1
        held = root / HELD / str(self._asked)
        try:
            for checkpoint in checkpoints(root):
                shutil.copytree(checkpoint, held / checkpoint.name, copy_function=_link)
        except OSError as error:
            shutil.rmtree(held, ignore_errors=True)
            self._failed(error)
            return
        with self._lock:
            superseded, self._waiting = self._waiting, held
            self._newer.set()
            if self._idle.is_set():
                self._idle.clear()
                threading.Thread(target=self._run, name="copies", daemon=True).start()
        if superseded:
            shutil.rmtree(superseded, ignore_errors=True)

    def wait(self, seconds: float = 600.0) -> None:
        """Wait until what was asked for last is copied or given up, but no longer than that."""
        if not self._idle.wait(seconds) or self._failing:
            log.warning("%s lacks checkpoints of this run; they are where they were saved", self._store.url)

    def _run(self) -> None:
        while held := self._next():
            self._send(held)
            shutil.rmtree(held, ignore_errors=True)

    def _next(self) -> Path | None:
        with self._lock:
            held, self._waiting = self._waiting, None
            self._newer.clear()
            if held is None:
                self._idle.set()
        return held

    def _send(self, held: Path) -> None:
        first: Exception | None = None
        for pause in (0.0, *PAUSES):
            if self._newer.wait(pause):
                break
            try:
                _mirror(held, self._store)
            except Exception as error:  # whatever a network, a disk or a store may raise: never training's concern
                if not held.exists():  # cleared away by the attempt that came after this one
                    return
                first = first or error
            else:
                self._failing = False
                return
        if first:
            self._failed(first)

    def _failed(self, error: Exception) -> None:
        """Warn of the first of several failures in a row."""
        if not self._failing:
            log.warning(
                "%s: checkpoints cannot be copied, training goes on and the next one tries again: %s",
                self._store.url,
                first_line(error),
            )
        self._failing = True


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # the few file systems that have no hard links
        shutil.copyfile(source, target)


def _mirror(held: Path, store: Store) -> None:
    newest_whole = ""
    for checkpoint in checkpoints(held):  # the oldest first: none is there without the best one that it names
        try:
            store.put(checkpoint)
        except CheckpointError:  # whoever looked for the newest whole one was told
            continue
        newest_whole = checkpoint.name
    kept = {checkpoint.name for checkpoint in checkpoints(held)}
    for name in store.sizes():
        # Newer ones are of an attempt that came after this one: they stay, however late this one is.
        if name < newest_whole and name not in kept:
            store.remove(name)


def check_place(url: str) -> None:
    """Find out, before anything else is done, whether copies can be written there.

    Raises:
        CheckpointError: They cannot.
    """
    store = open_store(url)
    try:
        store.try_to_write()
    except Exception as error:  # whatever a network, a disk or a store may raise
        known_by = "\nS3 is known by the environment: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY ..."
        raise CheckpointError(
            f"{url}: copies of checkpoints cannot be written there: {first_line(error)}"
            + known_by * url.startswith("s3:")
        ) from None


def fetch_newest(url: str, root: Path) -> Path | None:
    """Bring the newest whole checkpoint of the place, and the best one that it names, to a folder that has none as new.

    Damaged ones are passed over with a warning. When the place cannot be read, a folder with a whole checkpoint is used
    as it is, with a warning.

    Returns:
        The folder of the newest that was brought; None if nothing newer is there.

    Raises:
        CheckpointError: All that are there are damaged, or the place cannot be read, and the folder has no whole one:
            starting anew must be somebody's decision.
    """
    store = open_store(url)
    try:
        return _fetch_newest(store, root)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a network, a disk or a store may raise
        told = f"{url}: copies of checkpoints cannot be read: {first_line(error)}"
        if not any(_is_whole(folder) for folder in checkpoints(root)):
            raise CheckpointError(f"{told}\nwithout them training would start anew, as {root} has none") from None
        log.warning("%s; going on from those in %s", told, root)
        return None


def _fetch_newest(store: Store, root: Path) -> Path | None:
    there = store.sizes()
    num_damaged = 0
    for name in sorted({*there, *(folder.name for folder in checkpoints(root))}, reverse=True):
        if _is_whole(root / name):
            return None
        if name in there:
            try:
                return _fetch(name, store, root)
            except CheckpointError as error:
                log.warning("%s/%s: %s; going back to the one before it", store.url, name, error)
                num_damaged += META in there[name]  # one that never was whole may be the first, and all is well
    if num_damaged:
        raise CheckpointError(f"{store.url}: all {num_damaged} checkpoints are damaged; delete them to start anew")
    return None


def _fetch(name: str, store: Store, root: Path) -> Path:
    """The checkpoint under its name in ``root``, where the best one that it names is too by then."""
    aside = root / f".{name}.partial"
    meta = _fetch_aside(name, store, aside)
    best = place_of(meta).best
    best_name = folder_of(best.step, root).name if best else name
    if best_name != name and not _is_whole(root / best_name):
        try:
            _fetch(best_name, store, root)
        except CheckpointError as error:
            log.warning("%s/%s: the best one so far is lost: %s", store.url, best_name, error)
    shutil.rmtree(root / name, ignore_errors=True)  # a damaged one
    return aside.rename(root / name)


def _fetch_aside(name: str, store: Store, aside: Path) -> dict[str, Any]:
    log.warning("fetching %s/%s to %s", store.url, name, aside.parent)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        store.get(name, aside)
        return read_meta(aside)
    except CheckpointError as error:
        shutil.rmtree(aside)
        raise CheckpointError(str(error).removeprefix(f"{aside}: ")) from None


def _is_whole(folder: Path) -> bool:
    try:
        read_meta(folder)
    except CheckpointError:
        return False
    return True
