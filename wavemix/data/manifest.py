"""What a folder of shards promises: every shard with its bytes, digest and number of samples.

It reads and writes ``manifest.json`` and checks promises against files; it writes no shard and decodes no sample.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wavemix.data.schema import SPLITS
from wavemix.errors import DataError
from wavemix.files import write_aside

FORMAT = 1


@dataclass(frozen=True)
class Shard:
    """One tar archive. ``index_sha256`` is the digest of the file of sample offsets beside it."""

    name: str
    bytes: int
    sha256: str
    samples: int
    index_sha256: str

    @property
    def index_name(self) -> str:
        return self.name.removesuffix(".tar") + ".index.npy"


@dataclass(frozen=True)
class Manifest:
    """The promises of ``<folder>/manifest.json``; ``sha256`` is the digest of that file, and so of all the data."""

    folder: Path
    sha256: str
    name: str
    classes: tuple[str, ...]
    source: Mapping[str, Any]
    splits: Mapping[str, tuple[Shard, ...]]

    def num_samples(self, split: str) -> int:
        return sum(shard.samples for shard in self.splits[split])


def write_manifest(
    folder: Path,
    *,
    name: str,
    classes: tuple[str, ...],
    source: Mapping[str, Any],
    splits: Mapping[str, tuple[Shard, ...]],
) -> Manifest:
    """Write ``manifest.json``, the last file of a folder of shards: where it stands, the folder is complete."""
    tree = {
        "format": FORMAT,
        "name": name,
        "schema": "labelled_image",
        "source": dict(source),
        "classes": list(classes),
        "splits": {
            split: {"samples": sum(shard.samples for shard in shards), "shards": [asdict(shard) for shard in shards]}
            for split, shards in splits.items()
        },
    }
    write_aside(folder / "manifest.json", (json.dumps(tree, indent=1, ensure_ascii=False) + "\n").encode())
    return read_manifest(folder)


def read_manifest(folder: Path) -> Manifest:
    """Read ``<folder>/manifest.json``.

    Raises:
        DataError: It is missing, no JSON, of another format, or names a file outside its folder.
    """
    path = folder / "manifest.json"
    try:
        raw = path.read_bytes()
        tree = json.loads(raw)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; `dvc repro prepare` writes it") from None
    except ValueError as error:
        raise DataError(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        found = tree.get("format") if isinstance(tree, dict) else type(tree).__name__
        raise DataError(f"{path}: found format {found!r}, this version reads {FORMAT}; prepare the data again")
    try:
        splits = {split: tuple(Shard(**shard) for shard in tree["splits"][split]["shards"]) for split in SPLITS}
        manifest = Manifest(
            folder, hashlib.sha256(raw).hexdigest(), tree["name"], tuple(tree["classes"]), tree["source"], splits
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged, {error}; prepare the data again") from None
    for shard in (shard for shards in splits.values() for shard in shards):
        if Path(shard.name).name != shard.name:
            raise DataError(f"{path}: shard name {shard.name!r} leaves its folder; this manifest is not ours")
    return manifest


def check_present(manifest: Manifest) -> None:
    """A fast look before training: every shard is there and has the promised size (``verify_shards`` reads them all).

    Raises:
        DataError: Names the first shard that is missing or has another size.
    """
    for shard in (shard for shards in manifest.splits.values() for shard in shards):
        path = manifest.folder / shard.name
        found = path.stat().st_size if path.is_file() else None
        if found != shard.bytes:
            raise DataError(f"{path}: found {found} bytes, the manifest promises {shard.bytes}; prepare the data again")
