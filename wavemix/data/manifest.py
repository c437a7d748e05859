"""What a folder of shards promises: every shard with its bytes, digest and number of samples.

It reads and writes ``manifest.json`` and checks promises against files; it writes no shard and decodes no sample.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wavemix.data.location import location_of, size_of
from wavemix.data.schema import SPLITS
from wavemix.errors import DataError
from wavemix.files import write_aside

FORMAT = 2


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
class Rejection:
    """A raw sample that is in no shard, and why."""

    split: str
    key: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """The promises of ``<folder>/manifest.json``; ``sha256`` is the digest of that file, and so of all the data.

    ``plan`` is the digest of what was asked for: the raw data, what is done to them, and how they are cut.
    """

    folder: Path
    sha256: str
    name: str
    schema: str
    plan: str
    fingerprint: str
    source: Mapping[str, Any]
    options: Mapping[str, Any]
    classes: tuple[str, ...]
    splits: Mapping[str, tuple[Shard, ...]]
    rejected: tuple[Rejection, ...]

    def num_samples(self, split: str) -> int:
        """Raises DataError if there is no such split."""
        return sum(shard.samples for shard in self.shards(split))

    def shards(self, split: str) -> tuple[Shard, ...]:
        """Raises DataError if there is no such split."""
        if split not in self.splits:
            raise DataError(f"{self.folder}: it has no split {split!r}, only {', '.join(self.splits)}")
        return self.splits[split]

    def all_shards(self) -> Iterator[Shard]:
        for shards in self.splits.values():
            yield from shards


def write_manifest(
    folder: Path,
    *,
    name: str,
    schema: str,
    plan: str,
    fingerprint: str,
    source: Mapping[str, Any],
    options: Mapping[str, Any],
    classes: tuple[str, ...],
    splits: Mapping[str, tuple[Shard, ...]],
    rejected: tuple[Rejection, ...],
) -> Manifest:
    """Write ``manifest.json``, the last file of a folder of shards: where it stands, the folder is complete."""
    tree = {
        "format": FORMAT,
        "name": name,
        "schema": schema,
        "plan": plan,
        "fingerprint": fingerprint,
        "source": dict(source),
        "options": dict(options),
        "classes": list(classes),
        "splits": {
            split: {"samples": sum(shard.samples for shard in shards), "shards": [asdict(shard) for shard in shards]}
            for split, shards in splits.items()
        },
        "rejected": [asdict(rejection) for rejection in rejected],
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
        raise DataError(f"{path}: no such file; `dvc repro prepare@{folder.name}` writes it") from None
    except ValueError as error:
        raise DataError(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        found = tree.get("format") if isinstance(tree, dict) else type(tree).__name__
        raise DataError(f"{path}: found format {found!r}, this version reads {FORMAT}; prepare the data again")
    try:
        manifest = Manifest(
            folder=folder,
            sha256=hashlib.sha256(raw).hexdigest(),
            splits={
                split: tuple(Shard(**shard) for shard in tree["splits"][split]["shards"])
                for split in SPLITS
                if split in tree["splits"]
            },
            rejected=tuple(Rejection(**rejection) for rejection in tree["rejected"]),
            classes=tuple(tree["classes"]),
            **{field: tree[field] for field in ("name", "schema", "plan", "fingerprint", "source", "options")},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: damaged, {error}; prepare the data again") from None
    if not manifest.splits:
        raise DataError(f"{path}: damaged, no split; prepare the data again")
    for shard in manifest.all_shards():
        if Path(shard.name).name != shard.name:
            raise DataError(f"{path}: shard name {shard.name!r} leaves its folder; this manifest is not ours")
    return manifest


def check_present(manifest: Manifest) -> None:
    """A fast look before training: every shard is there and has the promised size (``verify_shards`` reads them all).

    Raises:
        DataError: Names the first shard that is missing or has another size.
    """
    for shard in manifest.all_shards():
        found = size_of(manifest.folder, shard.name)
        if found != shard.bytes:
            where = location_of(manifest.folder) or manifest.folder
            raise DataError(
                f"{where}/{shard.name}: found {found} bytes, the manifest promises {shard.bytes}; "
                f"`wavemix data repair {manifest.name}` makes it again"
            )
