"""Raw files wherever they lie: in an unpacked tree, or still in the archives that were downloaded.

Nothing is unpacked: a file is a range of bytes of a tar (of a tar within a tar, too) or a member of a zip. A
``.tar.gz`` knows no ranges and is inflated once into a scratch folder. It knows no data set.
"""

import gzip
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from wavemix.data.raw.items import Parts
from wavemix.errors import DataError
from wavemix.files import written_aside

Told = Callable[[str, int], None]
"""Called while something long goes on: what, and how many files (of an index) or MiB (of an inflated file) so far."""

TAR = (".tar",)
GZIPPED_TAR = (".tar.gz", ".tgz")
SHOWN = 10


class RawFile(NamedTuple):
    """``size`` bytes of the file ``holder`` from ``offset`` on, or the ``member`` of a zip; ``name`` is its path in the
    data set, as published."""

    name: str
    size: int
    holder: str
    offset: int = 0
    member: str = ""

    def read(self) -> bytes:
        """All its bytes.

        Raises:
            DataError: It is gone, cut off, or its checksum (in a zip) is wrong.
        """
        try:
            if self.member:
                return _zip(self.holder).read(self.member)
            content = os.pread(_descriptor(self.holder), self.size, self.offset) if self.offset else _whole(self.holder)
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise DataError(f"{self.holder}: cannot read {self.name}: {error}") from None
        if len(content) != self.size:
            raise DataError(f"{self.holder}: {self.name} has {len(content)} bytes, {self.size} were there before")
        return content


@dataclass(frozen=True)
class RawFolder:
    """The user's folder of raw files: archives as downloaded, unpacked trees, or both.

    ``scratch`` takes inflated ``.tar.gz``; every process that reads must see it.
    """

    path: Path
    scratch: Path
    told: Told = lambda _what, _count: None

    def under(self, folder: str, *archives: str, bare: bool = False) -> list[RawFile]:
        """The files of an unpacked ``folder``, or else of the first archive that is there; names relative to
        ``folder``, sorted. Hidden files and what a Mac adds are left out.

        Args:
            folder: Such as ``val_256`` or ``leftImg8bit/train``; empty for the root itself.
            archives: File names that hold it (.tar, .tar.gz, .tgz, .zip), beside it in the root.
            bare: The archive holds the folder's content and not the folder itself.

        Raises:
            DataError: Neither is there, or an archive is damaged or would leave its folder.
        """
        if (self.path / folder).is_dir():
            return sorted(_in_tree(self.path / folder, self.told))
        for archive in archives:
            if (self.path / archive).is_file():
                files = sorted(self._in_archive(self.path / archive))
                if bare or not folder:
                    return files
                inside = folder.rstrip("/") + "/"
                return [file._replace(name=file.name[len(inside) :]) for file in files if file.name.startswith(inside)]
        raise DataError(self.missing(folder + "/" if folder else "", *archives))

    def first(self, *names: str) -> str | None:
        """The first of some names (folders, files or archives) that is there."""
        return next((name for name in names if (self.path / name).exists()), None)

    def file(self, name: str, *archives: str) -> RawFile:
        """One file at ``name`` in the tree, or else in an archive (with the same path, or the bare file name).

        Raises:
            DataError: It is in neither.
        """
        path = self.path / name
        if path.is_file():
            return RawFile(name, path.stat().st_size, str(path))
        for archive in archives:
            if (self.path / archive).is_file():
                for file in self._in_archive(self.path / archive):
                    if file.name == name or PurePosixPath(file.name).name == PurePosixPath(name).name:
                        return file
        raise DataError(self.missing(name, *archives))

    def missing(self, *wanted: str) -> str:
        """``looked for A or B in ROOT, found x, y``: for a DataError, behind the source's name."""
        told = " or ".join(name for name in wanted if name)
        if not self.path.is_dir():
            return f"looked for {told} in {self.path}, which is no folder"
        found = sorted(path.name for path in self.path.iterdir() if not path.name.startswith("."))
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        return f"looked for {told} in {self.path}, found {', '.join(found[:SHOWN]) or 'nothing'}{more}"

    def _in_archive(self, archive: Path) -> tuple[RawFile, ...]:
        name = archive.name.lower()
        if name.endswith(GZIPPED_TAR):
            return _in_tar(str(inflated(archive, self.scratch, self.told)), str(archive), self.told)
        if name.endswith(".zip"):
            return _in_zip(str(archive), self.told)
        return _in_tar(str(archive), str(archive), self.told)


def read_image(file: RawFile) -> Parts:
    """The picture of a sample that is one file, as it was published: it is not decoded."""
    return {"image": file.read()}


def inflated(archive: Path, scratch: Path, told: Told) -> Path:
    """The tar of a ``.tar.gz``, inflated once: a second call, also after a crash, finds it whole or makes it."""
    made = archive.stat()
    path = scratch / f"{archive.name}-{made.st_size}-{made.st_mtime_ns}.tar"
    if not path.is_file():
        try:
            with gzip.open(archive) as source, written_aside(path) as target:
                while block := source.read(1 << 22):
                    target.write(block)
                    told(f"inflating {archive.name}, MiB", target.tell() >> 20)
        except (OSError, EOFError) as error:
            free = shutil.disk_usage(scratch).free >> 20 if scratch.is_dir() else 0
            raise DataError(f"{archive}: cannot be inflated into {scratch} ({free} MiB free): {error}") from None
    return path


def _in_tree(folder: Path, told: Told) -> Iterator[RawFile]:
    count = 0
    for where, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not _is_junk(name)]
        for name in names:
            if not _is_junk(name):
                path = os.path.join(where, name)  # noqa: PTH118  (a million times)
                relative = os.path.relpath(path, folder).replace(os.sep, "/") if where != str(folder) else name
                yield RawFile(relative, os.stat(path).st_size, path)  # noqa: PTH116
                if (count := count + 1) % 1000 == 0:
                    told(f"listing {folder}", count)


@lru_cache(maxsize=8)  # a source asks the same archive for several of its folders
def _in_tar(holder: str, shown: str, told: Told) -> tuple[RawFile, ...]:
    files: list[RawFile] = []
    try:
        with Path(holder).open("rb") as file:
            for member in _tar_members(file, shown, 0, Path(holder).stat().st_size):
                files.append(member._replace(holder=holder))
                if len(files) % 1000 == 0:
                    told(f"reading the index of {Path(shown).name}", len(files))
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{shown}: damaged after {len(files)} files, or no tar: {error}; download it again") from None
    return tuple(files)


def _tar_members(file: IO[bytes], shown: str, start: int, stop: int) -> Iterator[RawFile]:
    file.seek(start)
    with tarfile.open(fileobj=file, mode="r:") as tar:
        while (member := tar.next()) is not None and member.offset < stop:
            tar.members = []  # type: ignore[attr-defined]  # a million would fill the memory; typeshed has no such name
            if member.isdir():
                continue
            name = _checked(member.name, shown, is_link=not member.isreg())
            if member.offset_data + member.size > stop:
                raise tarfile.ReadError(f"{name} is cut off")
            if name.endswith(TAR):
                for nested in _tar_members(
                    file, f"{shown}/{name}", member.offset_data, member.offset_data + member.size
                ):
                    yield nested._replace(name=f"{name[: -len('.tar')]}/{nested.name}")
            elif not _is_junk(name):
                yield RawFile(name, member.size, "", member.offset_data)
        # tarfile takes a damaged or missing header for the end.
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it has no end")


@lru_cache(maxsize=8)
def _in_zip(holder: str, told: Told) -> tuple[RawFile, ...]:
    files = []
    try:
        for member in _zip(holder).infolist():
            name = _checked(member.filename, holder, is_link=stat.S_ISLNK(member.external_attr >> 16))
            if not member.is_dir() and not _is_junk(name):
                files.append(RawFile(name, member.file_size, holder, member=member.filename))
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{holder}: damaged, or no zip: {error}; download it again") from None
    told(f"reading the index of {Path(holder).name}", len(files))
    return tuple(files)


def _checked(name: str, archive: str, *, is_link: bool) -> str:
    """The member's name, without a leading ``./``."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if is_link or ".." in parts or (parts and (parts[0] == "/" or parts[0].endswith(":"))):
        what = "is a link or a device" if is_link else "leaves its folder"
        raise DataError(f"{archive}: refused, its member {name!r} {what}; this is not an archive of pictures")
    return "/".join(parts)


def _is_junk(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _whole(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read()


@lru_cache(maxsize=16)  # open archives of this process; they are few, and their members are read a million times
def _zip(holder: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(holder)


@lru_cache(maxsize=16)
def _descriptor(holder: str) -> int:
    return os.open(holder, os.O_RDONLY)
