"""One shard: a tar that plain ``tar`` and WebDataset read, and an index of where in it each sample lies.

The same samples give the same bytes. It knows no data set, no split and no order.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from wavemix.data.manifest import Shard
from wavemix.data.schema import Record
from wavemix.files import write_aside, written_aside

INDEX = np.dtype([("offset", "<i8"), ("bytes", "<i8"), ("xxh3", "<u8")])
"""A row of ``<shard>.index.npy`` for every sample: the range of bytes that holds all its members, headers included, and
the XXH3 checksum of that range. Readers check it: a damaged byte is an error, never a slightly different sample."""

BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)


def write_shard(records: Iterable[Record], path: Path) -> Shard:
    """Write the tar and its index; neither name exists before its file is whole."""
    rows, at, digest = [], 0, hashlib.sha256()
    with written_aside(path) as file:
        for record in records:
            pieces: list[bytes] = []
            for name in sorted(record.parts):
                content = record.parts[name]
                pieces += (_header(f"{record.key}.{name}", len(content)), content, bytes(-len(content) % BLOCK))
            block = b"".join(pieces)
            file.write(block)
            digest.update(block)
            rows.append((at, len(block), xxh3_64_intdigest(block)))
            at += len(block)
        file.write(END)
        digest.update(END)
    index = io.BytesIO()
    np.save(index, np.array(rows, INDEX), allow_pickle=False)
    write_aside(path.with_name(index_name := path.stem + ".index.npy"), index.getvalue())
    shard = Shard(path.name, at + len(END), digest.hexdigest(), len(rows), hashlib.sha256(index.getvalue()).hexdigest())
    assert shard.index_name == index_name
    return shard


def members_of(block: bytes) -> list[tuple[str, bytes]]:
    """Names and contents of the members in a sample's range of bytes.

    The usual header is read here in a few microseconds, where tarfile takes a tenth of the time of decoding a picture;
    tarfile reads the rest (names above 100 bytes).

    Raises:
        tarfile.TarError, ValueError: The range holds something else.
    """
    found, at = [], 0
    while at < len(block):
        if block[at + 156 : at + 157] != tarfile.REGTYPE:
            return _members_by_tarfile(block)
        name = block[at : at + 100].rstrip(b"\0").decode()
        size = int(block[at + 124 : at + 135], 8)
        found.append((name, block[at + BLOCK : at + BLOCK + size]))
        at += BLOCK + size + -size % BLOCK
    return found


def record_of(block: bytes) -> Record:
    """The sample in a range of bytes; the key is what its members' names share up to the first dot.

    Raises:
        tarfile.TarError, ValueError: The range holds something else.
    """
    members = members_of(block)
    folder, slash, base = members[0][0].rpartition("/") if members else ("", "", "")
    key = folder + slash + base.partition(".")[0]
    if not key or any(not name.startswith(key + ".") for name, _ in members):
        raise ValueError("no members of one sample")
    return Record(key, {name[len(key) + 1 :]: content for name, content in members})


def read_index(content: bytes) -> NDArray[np.void]:
    """Rows of ``INDEX``.

    Raises:
        ValueError: It is no index.
    """
    rows: NDArray[np.void] = np.load(io.BytesIO(content), allow_pickle=False)
    if rows.dtype != INDEX or rows.ndim != 1:
        raise ValueError("it is no index of samples")
    return rows


def _header(name: str, size: int) -> bytes:
    """A member's header without owner and time: what a shard holds is all that its bytes depend on.

    The usual one is filled in here, for tarfile takes a tenth of the time of checking a picture to make it; tarfile
    makes the others (names above 100 bytes, members above 8 GiB).
    """
    path = name.encode()
    if len(path) > 100 or size >= 8**11:
        member = tarfile.TarInfo(name)
        member.size = size
        return member.tobuf(tarfile.GNU_FORMAT, "utf-8")
    octal = b"%011o\0" % size
    checksum = b"%06o\0 " % (_SUM + sum(path) + sum(octal))
    return b"".join((path, bytes(100 - len(path)), _MODE_AND_OWNER, octal, _TIME, checksum, _REST))


_BLANK = tarfile.TarInfo("").tobuf(tarfile.GNU_FORMAT, "utf-8")
_MODE_AND_OWNER, _TIME, _REST = _BLANK[100:124], _BLANK[136:148], _BLANK[156:]
_SUM = sum(_MODE_AND_OWNER) + sum(_TIME) + sum(_REST) + 8 * ord(" ")  # a header's sum counts its own field as spaces


def _members_by_tarfile(block: bytes) -> list[tuple[str, bytes]]:
    found = []
    with tarfile.open(fileobj=io.BytesIO(block), mode="r:") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            if file is None:
                raise tarfile.ReadError(f"{member.name} is no plain file")
            found.append((member.name, file.read()))
    return found
