"""Checkpoints in a second place, a folder or an object store: whole or not there, whatever was cut off.

An object store has no rename, so ``meta.json`` is sent last and deleted first, and says that the rest is there. It
knows no training and no credentials: these, and where the store is, its library reads from the environment.
"""

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavemix.errors import CheckpointError
from wavemix.training.checkpoint import META, read_meta

OPTIONS: dict[str, dict[str, Any]] = {
    "file": {"auto_mkdir": True},
    "s3": {"max_concurrency": 2},  # parts of 50 MB, and all that are under way are in memory
}

FILE = re.compile(r"(step-\d{8,})/(\w[\w.-]*)")
"""A checkpoint's file in a store, whose keys may be anything: none of these leads out of a folder."""


@dataclass(frozen=True)
class Store:
    """``files`` is an fsspec file system, ``root`` the place's path in it. Methods raise whatever a store may raise."""

    url: str
    files: Any
    root: str

    def sizes(self) -> dict[str, dict[str, int]]:
        """Bytes of each file that is there, by checkpoint and name; what has other names is not ours."""
        self.files.invalidate_cache()  # other processes write there too
        sizes: dict[str, dict[str, int]] = {}
        for path, found in self.files.find(self.root, detail=True).items():
            if match := FILE.fullmatch(path.removeprefix(f"{self.root}/")):
                sizes.setdefault(match[1], {})[match[2]] = found["size"]
        return sizes

    def put(self, folder: Path) -> None:
        """Send a checkpoint, unless the same one is there already.

        Raises:
            CheckpointError: It is damaged itself; what is there stays.
        """
        there = self.sizes().get(folder.name, {})
        sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        if META not in sizes:
            raise CheckpointError(f"{folder}: not a whole checkpoint: it has no {META}")
        meta = (folder / META).read_bytes()
        if there.items() >= sizes.items() and self.files.cat_file(self._path(folder.name, META)) == meta:
            return
        read_meta(folder)
        if META in there:
            self.files.rm_file(self._path(folder.name, META))
        del sizes[META]
        for name in sizes:
            self.files.put_file(str(folder / name), self._path(folder.name, name))
        arrived = self.sizes().get(folder.name, {})
        for name, size in sizes.items():
            if arrived.get(name) != size:
                raise OSError(f"{folder.name}/{name} has {size} bytes, {arrived.get(name, 0)} arrived")
        self.files.pipe_file(self._path(folder.name, META), meta)

    def get(self, name: str, folder: Path) -> None:
        """Bring a checkpoint's files into a folder that is there and empty; nothing is verified.

        Raises:
            CheckpointError: It was never sent as a whole.
        """
        there = self.sizes().get(name, {})
        if META not in there:
            raise CheckpointError("not a whole checkpoint: it was not sent to its end")
        for file in there:
            self.files.get_file(self._path(name, file), str(folder / file))

    def remove(self, name: str) -> None:
        if META in self.sizes().get(name, {}):
            self.files.rm_file(self._path(name, META))
        with contextlib.suppress(FileNotFoundError):  # an object store has no empty folders
            self.files.rm(f"{self.root}/{name}", recursive=True)

    def try_to_write(self) -> None:
        """Write a small file and delete it again."""
        probe = f"{self.root}/.writable"
        self.files.pipe_file(probe, b"?")
        self.files.rm_file(probe)

    def _path(self, name: str, file: str) -> str:
        return f"{self.root}/{name}/{file}"


def open_store(url: str) -> Store:
    """The store at a URL, or in a folder; nothing is asked of it yet.

    Raises:
        CheckpointError: Nothing that is installed knows this kind of URL.
    """
    import fsspec  # noqa: PLC0415  (runs without a second place need none of it)

    try:
        files, root = fsspec.url_to_fs(url, **OPTIONS.get(fsspec.utils.get_protocol(url), {}))
    except (ImportError, ValueError) as error:
        raise CheckpointError(f"{url}: no place for copies of checkpoints: {error}") from None
    return Store(url.rstrip("/"), files, root.rstrip("/"))
