"""Fetches published files: whole or absent under their names, checked, and gone on with after a cut.

Pooch checks and names them; it begins anew after a cut, so what fetches is here. What has come of a file is in
``<name>.part`` until all of it is there and has the right digest. It knows no data set but by the catalogue.
"""

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from wavemix.data.catalogue import BY_HAND, DOWNLOADS, Remote
from wavemix.errors import DataError
from wavemix.files import sha256_of, sync_folder

Told = Callable[[str, int, int], None]
"""Called with what goes on and how many bytes of how many are done (0: nobody knows); first with what was there."""

BLOCK = 1 << 20
TIMEOUT_SECONDS = 60
TRIES = 6
"""In a row without a new byte, waiting 1, 2, 4, ... seconds in between."""

PASSING = {408, 429, *range(500, 600)}
"""The server's answers after which it is worth asking again."""


def download(
    name: str,
    folder: Path,
    *,
    told: Told = lambda _what, _done, _total: None,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Put all files of a published set into a folder. Those that are there are checked and not fetched again.

    Args:
        name: In ``DOWNLOADS``.
        folder: The source's ``root``; made if need be.
        told: How far it is.
        pause: Waits for some seconds before the next try.

    Raises:
        DataError: A person has to fetch this set, pooch is missing, the server gives up, the disk is full, or a file is
            not the published one. Nothing is deleted then.
    """
    if name not in DOWNLOADS:
        why = f"to get it:\n{BY_HAND[name]}" if name in BY_HAND else f"there is {', '.join(DOWNLOADS)}"
        raise DataError(f"{name} cannot be downloaded; {why}")
    for remote in DOWNLOADS[name].files:
        if remote.name in ("", ".", ".."):
            raise ValueError(f"{remote.url} names no file")
        path = folder / remote.name
        if path.is_file():
            size = path.stat().st_size
            told(f"checking {path.name}", 0, size)
            _check(path, remote)
            told(f"checking {path.name}", size, size)
        else:
            _retrieve(remote, path, told, pause)


@contextmanager
def _alone(part: Path) -> Iterator[BinaryIO]:
    """The file to append to, for this process alone."""
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("ab")
    except OSError as error:
        raise DataError(f"{part}: cannot be written: {error}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets it go when the process dies
        except OSError:
            raise DataError(f"{part}: another process is downloading it; wait for it, or stop it") from None
        yield file


def _retrieve(remote: Remote, path: Path, told: Told, pause: Callable[[float], None]) -> None:
    """Fetch what is missing of a file, and give it its name if it is the published one."""
    try:
        import pooch  # noqa: PLC0415  (an extra, needed for downloads alone)
    except ImportError:
        raise DataError("pooch is not installed; pip install 'wavemix-train[pipeline]'") from None
    part = path.with_name(f"{path.name}.part")
    with _alone(part) as file:

        def fetch(_url: str, given: str, _pooch: object) -> None:
            _fetch(remote, file, told, pause)
            os.fsync(file.fileno())
            told(f"checking {path.name}", 0, file.tell())
            Path(given).unlink()
            try:
                Path(given).hardlink_to(part)  # pooch deletes what it is given if that is not the published file
            except OSError:  # this file system has no second names
                _check(part, remote)
                part.replace(given)

        try:
            with _quiet(pooch.get_logger()):
                pooch.retrieve(
                    remote.url, f"sha256:{remote.sha256}", path.name, path.parent.absolute(), downloader=fetch
                )
        except ValueError:
            _check(part, remote)
            raise
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error}") from None
        told(f"checking {path.name}", file.tell(), file.tell())
        part.unlink(missing_ok=True)
        sync_folder(path.parent)


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Without its tale of every file, on stderr, between our own lines."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _fetch(remote: Remote, file: BinaryIO, told: Told, pause: Callable[[float], None]) -> None:
    """Append what is missing, over as many connections as it takes while each of them brings something new."""
    most, tries = file.tell(), 0
    while True:
        try:
            return _append(remote, file, told)
        except HTTPError as error:
            error.close()
            why: Exception = error
            if error.code == 416:
                if error.headers["Content-Range"] == f"bytes */{file.tell()}":
                    return None  # all of it was there
                raise DataError(f"{file.name}: longer than {remote.url}; delete it to begin anew") from None
            if error.code not in PASSING:
                raise DataError(f"{remote.url}: the server says {error.code} {error.reason}") from None
        except (OSError, HTTPException) as error:
            why = error
        tries = 1 if file.tell() > most else tries + 1
        most = max(most, file.tell())
        if tries == TRIES:
            raise DataError(
                f"{remote.url}: {why}, {TRIES} times in a row\n"
                f"{most} bytes are kept in {file.name}; run it again to go on from there"
            )
        pause(2 ** (tries - 1))


def _append(remote: Remote, file: BinaryIO, told: Told) -> None:
    """Ask once for what is missing. Raises OSError or HTTPException if the connection fails."""
    had = file.tell()
    if had == remote.size:
        return
    headers = {"User-Agent": "wavemix-train"} | ({"Range": f"bytes={had}-"} if had else {})
    with urlopen(Request(remote.url, headers=headers), timeout=TIMEOUT_SECONDS) as answer:
        if answer.status != 206:  # the whole file: this server knows no ranges
            had = 0
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {had}-"):
            raise DataError(f"{remote.url}: sends other bytes than were asked for; delete {file.name} to begin anew")
        length = answer.headers["Content-Length"]
        total = had + int(length) if length else remote.size or 0
        if remote.size not in (None, total):
            raise DataError(f"{remote.url}: has {total} bytes now, and had {remote.size}: another file")
        if total - had > (free := shutil.disk_usage(Path(file.name).parent).free):
            raise DataError(f"{file.name}: {total - had} bytes are to come, and {free} are free on the disk")
        file.truncate(had)
        file.seek(had)
        told(remote.name, had, total)
        while block := answer.read(BLOCK):
            _write(block, file)
            told(remote.name, file.tell(), total)
    if file.tell() < total:
        raise ConnectionError(f"cut off after {file.tell()} of {total} bytes")


def _write(block: bytes, file: BinaryIO) -> None:
    try:
        file.write(block)
        file.flush()
    except OSError as error:  # no fault of the connection
        raise DataError(f"{file.name}: cannot be written: {error}") from None


def _check(path: Path, remote: Remote) -> None:
    if (found := sha256_of(path)) != remote.sha256:
        raise DataError(
            f"{path}: not the published file; its {path.stat().st_size} bytes have sha256 {found}, looked for\n"
            f"{remote.sha256}; delete it and download again; if that changes nothing, the publisher has changed it"
        )
