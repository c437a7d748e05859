"""Any sample of a split by its number: one range of bytes of one shard, checked against its checksum.

It knows no order and decodes no picture. Safe to send to another process.
"""

import hashlib
import os
import tarfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from wavemix.data.location import file_system, location_of
from wavemix.data.manifest import Manifest, Shard
from wavemix.data.schema import Record
from wavemix.data.shards import INDEX, read_index, record_of
from wavemix.errors import DataError

MOST_OPEN = 64
PAUSES = (0.1, 1.0, 5.0)
"""Seconds before each further attempt: a network file system or an object store may fail for a moment."""


class ShardReader:
    """The samples of one split. Indexes are held as arrays: 24 bytes a sample, and no Python object for any."""

    def __init__(self, manifest: Manifest, split: str, *, pauses: Sequence[float] = PAUSES) -> None:
        self.manifest_folder, self.location = manifest.folder, location_of(manifest.folder)
        self.pauses = tuple(pauses)
        shards = manifest.shards(split)
        self.names = [shard.name for shard in shards]
        self.starts = np.concatenate([[0], np.cumsum([shard.samples for shard in shards])])
        rows = [_read_index(manifest, shard) for shard in shards]
        self.rows: NDArray[np.void] = np.concatenate([np.empty(0, INDEX), *rows])
        self._open: dict[str, int] = {}
        self._fs: Any = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Record:
        return self.read([number])[0]

    def read(self, numbers: Sequence[int]) -> list[Record]:
        """The samples with these numbers, in their order; read in the order in which they lie.

        Raises:
            DataError: A shard is gone or holds something else there, after several attempts; names the shard.
        """
        blocks: dict[int, bytes] = {}
        missing, why = sorted(set(numbers)), ""
        for pause in (0.0, *self.pauses):
            time.sleep(pause)
            missing, why = self._try(missing, blocks)
            if not missing:
                return [self._record(number, blocks[number]) for number in numbers]
        raise DataError(f"{self._where(missing[0])}: {why}; `wavemix data verify` tells what else is bad")

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def _try(self, numbers: list[int], blocks: dict[int, bytes]) -> tuple[list[int], str]:
        """Read what can be; returns the numbers that could not, and what happened to the first of them."""
        missing, why = [], ""
        for number, block in zip(numbers, self._fetch(numbers), strict=True):
            row = self.rows[number]
            if isinstance(block, Exception):
                told = f"cannot be read: {getattr(block, 'strerror', None) or block}"
            elif len(block) != row["bytes"]:
                told = f"ends after {len(block)} of {row['bytes']} bytes"
            elif xxh3_64_intdigest(block) != row["xxh3"]:
                told = "its content is not what was written"
            else:
                blocks[number] = block
                continue
            missing.append(number)
            why = why or told
            self._forget(number)  # a file that was replaced has to be opened anew
        return missing, why

    def _fetch(self, numbers: list[int]) -> list[bytes | Exception]:
        if self.location:
            return self._fetch_remote(numbers)
        found: list[bytes | Exception] = []
        for number in numbers:
            row = self.rows[number]
            try:
                found.append(os.pread(self._descriptor(self._name(number)), int(row["bytes"]), int(row["offset"])))
            except OSError as error:
                found.append(error)
        return found

    def _fetch_remote(self, numbers: list[int]) -> list[bytes | Exception]:
        assert self.location is not None
        self._fs = self._fs or file_system(self.location)
        starts = [int(self.rows[number]["offset"]) for number in numbers]
        stops = [start + int(self.rows[number]["bytes"]) for start, number in zip(starts, numbers, strict=True)]
        paths = [f"{self.location}/{self._name(number)}" for number in numbers]
        found: list[bytes | Exception] = self._fs.cat_ranges(paths, starts, stops, on_error="return")
        return found

    def _record(self, number: int, block: bytes) -> Record:
        try:
            return record_of(block)
        except (tarfile.TarError, ValueError) as error:
            raise DataError(f"{self._where(number)}: it is no sample: {error}") from None

    def _shard(self, number: int) -> int:
        return int(np.searchsorted(self.starts, number, side="right")) - 1

    def _name(self, number: int) -> str:
        return self.names[self._shard(number)]

    def _where(self, number: int) -> str:
        within = number - int(self.starts[self._shard(number)])
        return f"{self.location or self.manifest_folder}/{self._name(number)}, sample {within}"

    def _descriptor(self, name: str) -> int:
        if name not in self._open:
            if len(self._open) >= MOST_OPEN:
                os.close(self._open.pop(next(iter(self._open))))
            self._open[name] = os.open(self.manifest_folder / name, os.O_RDONLY)
        return self._open[name]

    def _forget(self, number: int) -> None:
        if (name := self._name(number)) in self._open:
            os.close(self._open.pop(name))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}, "_fs": None}  # descriptors and connections belong to their process


def _read_index(manifest: Manifest, shard: Shard) -> NDArray[np.void]:
    path = manifest.folder / shard.index_name
    advice = f"`wavemix data repair {manifest.name}` makes it again"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot read the index of {shard.name}: {error.strerror}; {advice}") from None
    try:
        rows = read_index(content)
    except ValueError as error:
        raise DataError(f"{path}: damaged index of {shard.name}: {error}; {advice}") from None
    if hashlib.sha256(content).hexdigest() != shard.index_sha256 or len(rows) != shard.samples:
        raise DataError(f"{path}: not the index of {shard.name} that was written; {advice}")
    return rows
