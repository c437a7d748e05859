"""Files left in a place where another machine fetches them, a folder or an object store: one tar, and a note about it.

The note is written last: where it stands, all is there. It knows no Ray, and not what the files are for. As a command
(``python -m wavemix.launch.jobs.parcel leave|fetch ROOT INSIDE PLACE``) it is what a job does before and after its
stage.
"""

import hashlib
import json
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from wavemix.data.location import file_system
from wavemix.errors import DataError, WaveMixError, first_line
from wavemix.files import sha256_of, written_aside
from wavemix.launch.progress import downloading

NOTE = "parcel.json"
BLOCK = 2**20
REMEDY = "nothing was taken from it; remove {} and submit again"
CREDENTIALS = "(an object store's address and credentials come from the environment: AWS_ENDPOINT_URL, ...)"


class _Note(NamedTuple):
    tar: str
    bytes: int
    sha256: str


def leave(files: Mapping[str, Path], place: str) -> None:
    """Leave files in a place. The same files make the same tar.

    Args:
        files: By the paths, relative and with slashes, under which they are to be found in it.
        place: A folder, or a URL such as ``s3://bucket/jobs/train-digits-0123456789abcdef``.

    Raises:
        DataError: The place cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="wavemix-parcel-") as private:
        tar = Path(private) / "parcel.tar"
        with tarfile.open(tar, "w") as archive:
            for name, path in sorted(files.items()):
                member = tarfile.TarInfo(name)
                member.size = path.stat().st_size
                with path.open("rb") as file:
                    archive.addfile(member, file)
        digest = sha256_of(tar)
        note = _Note(f"{digest[:16]}.tar", tar.stat().st_size, digest)
        there = file_system(place)
        try:
            if "file" in there.protocol:  # an object store has no folders, and would make a bucket
                there.makedirs(place, exist_ok=True)
            there.put_file(str(tar), f"{place}/{note.tar}")
            there.pipe_file(f"{place}/{NOTE}", json.dumps(note._asdict()).encode())
        except Exception as error:  # whatever a network, a disk or a store may raise
            raise DataError(f"{place}: cannot be written: {first_line(error)}\n{CREDENTIALS}") from None


def fetch(place: str, inside: str, root: Path) -> bool:
    """Write the files that were left in a place below ``root``; False if none were left.

    Each file is whole or absent, and none is written before the whole tar is here and its digest is right.

    Args:
        place: As for ``leave``.
        inside: The folder in which all of them are to be, such as ``experiments/digits/train``.
        root: Where that folder is.

    Raises:
        DataError: The place cannot be read, or something else than plain files in that folder was left there.
    """
    there = file_system(place)
    note = _note(there, place)
    if note is None:
        return False
    with tempfile.TemporaryDirectory(prefix="wavemix-parcel-") as private:
        tar = Path(private) / "parcel.tar"
        if _copy(there, f"{place}/{note.tar}", tar, note.bytes) != note.sha256:
            raise DataError(f"{place}/{note.tar}: has another digest than {NOTE} says; {REMEDY.format(place)}")
        try:
            with tarfile.open(tar, "r:") as archive:
                _unpack(archive, inside, root)
        except (tarfile.TarError, ValueError) as error:
            raise DataError(f"{place}/{note.tar}: {error}; {REMEDY.format(place)}") from None
    return True


def _unpack(archive: tarfile.TarFile, inside: str, root: Path) -> None:
    """Plain files below ``inside`` alone: no link, no device, and no way out of the folder."""
    members = archive.getmembers()
    for member in members:
        path = PurePosixPath(member.name)
        if not member.isfile() or ".." in path.parts or not path.is_relative_to(inside):
            raise ValueError(f"holds {member.name!r}, and plain files in {inside} are all that may come from there")
    for member in members:
        content = archive.extractfile(member)
        assert content is not None
        with written_aside(root / member.name) as file:
            shutil.copyfileobj(content, file)


def _note(there: Any, place: str) -> _Note | None:
    path = f"{place}/{NOTE}"
    try:
        content = there.cat_file(path)
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever a network, a disk or a store may raise
        raise DataError(f"{place}: cannot be read: {first_line(error)}\n{CREDENTIALS}") from None
    try:
        note = _Note(**json.loads(content))
        if PurePosixPath(note.tar).name != note.tar:
            raise ValueError(f"it names {note.tar!r}")
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: is not ours: {error}; {REMEDY.format(place)}") from None
    return note


def _copy(there: Any, source: str, target: Path, size: int) -> str:
    """Copy a file and tell how far it is; returns its sha256."""
    digest, done = hashlib.sha256(), 0
    try:
        with there.open(source, "rb") as remote, target.open("wb") as local, downloading() as told:
            while block := remote.read(BLOCK):
                local.write(block)
                digest.update(block)
                done += len(block)
                told(source.rpartition("/")[0], done, size)
    except Exception as error:  # whatever a network, a disk or a store may raise
        raise DataError(f"{source}: cannot be read: {first_line(error)}") from None
    return digest.hexdigest()


def main() -> None:
    action, root, inside, place = sys.argv[1:]
    try:
        if action == "fetch":
            fetch(place, inside, Path(root))
        else:
            found = (path for path in (Path(root) / inside).rglob("*") if path.is_file())
            leave({path.relative_to(root).as_posix(): path for path in found}, place)
    except WaveMixError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
