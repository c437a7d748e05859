"""Where the tars of a folder of shards lie: beside their manifest, or where its file ``location`` says.

Indexes and manifest are always local. It knows no sample.
"""

from pathlib import Path
from typing import IO, Any

from wavemix.errors import DataError


def location_of(folder: Path) -> str | None:
    """The URL in ``<folder>/location``, such as ``s3://bucket/shards/imagenet``; None where the tars lie beside it."""
    path = folder / "location"
    return path.read_text().strip().rstrip("/") if path.is_file() else None


def file_system(location: str) -> Any:
    """The fsspec file system of a URL.

    Raises:
        DataError: Nothing that is installed knows this kind of URL.
    """
    import fsspec  # noqa: PLC0415  (local shards need none of it)

    try:
        return fsspec.url_to_fs(location)[0]
    except (ImportError, ValueError) as error:
        raise DataError(f"{location}: cannot be opened: {error}") from None


def size_of(folder: Path, name: str) -> int | None:
    """How many bytes a shard has; None if it is not there."""
    try:
        if location := location_of(folder):
            return int(file_system(location).size(f"{location}/{name}"))
        return (folder / name).stat().st_size
    except FileNotFoundError:
        return None


def open_shard(folder: Path, name: str) -> IO[bytes]:
    """The whole shard, to be read in pieces."""
    if location := location_of(folder):
        opened: IO[bytes] = file_system(location).open(f"{location}/{name}", "rb")
        return opened
    return (folder / name).open("rb")
