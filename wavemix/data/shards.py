"""Raw data -> WebDataset shards with an index of sample offsets and a manifest, and the check that they are whole.

The same raw data and options give the same bytes. It knows no data set by name, and nothing of order or batches.
"""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from webdataset.writer import TarWriter

from wavemix.data.manifest import Manifest, Shard, write_manifest
from wavemix.data.sources.raw import RawSet
from wavemix.errors import DataError
from wavemix.files import sha256_of, write_aside, written_aside

Progress = Callable[[int], None]
"""Called with how many samples were done since the last call."""


def write_shards(
    raw: RawSet,
    folder: Path,
    *,
    name: str,
    source: Mapping[str, Any],
    samples_per_shard: int,
    progress: Progress = lambda _: None,
) -> Manifest:
    """Write every split's samples, in the order of the source, as ``<split>-<number>.tar``, and the manifest last.

    Args:
        raw: What to write.
        folder: Where; created when missing.
        name: The data set's name, for people.
        source: The options that chose the raw data, kept in the manifest.
        samples_per_shard: Samples in every shard but the last of a split.
        progress: Called after every sample.

    Raises:
        DataError: A split has no sample, or two samples of a split have the same key.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)  # until the end, this folder promises nothing
    splits: dict[str, tuple[Shard, ...]] = {}
    for split, items in raw.items.items():
        if not items:
            raise DataError(f"data {name}: no sample for {split}; give it a larger share")
        seen: set[str] = set()
        splits[split] = tuple(
            _write_shard(
                raw, items[start : start + samples_per_shard], folder / f"{split}-{number:06d}.tar", seen, progress
            )
            for number, start in enumerate(range(0, len(items), samples_per_shard))
        )
    return write_manifest(
        folder, name=name, classes=raw.classes, source={**source, "fingerprint": raw.fingerprint}, splits=splits
    )


def _write_shard(raw: RawSet, items: Sequence[Any], path: Path, seen: set[str], progress: Progress) -> Shard:
    offsets = []
    with written_aside(path) as file:
        # Fixed owner and time: what a shard holds is all that its bytes depend on.
        with TarWriter(file, user="", group="", mtime=0, encoder=False) as tar:
            for item in items:
                record = raw.record(item)
                if record.key in seen:
                    raise DataError(f"{path.name}: two samples with the key {record.key!r}; keys must be unique")
                seen.add(record.key)
                offsets.append(tar.tarstream.offset)
                tar.write({"__key__": record.key, **record.parts})
                progress(1)
            offsets.append(tar.tarstream.offset)
        size = file.tell()
    index = io.BytesIO()
    np.save(index, np.array(offsets, "<i8"), allow_pickle=False)
    shard = Shard(path.name, size, sha256_of(path), len(items), hashlib.sha256(index.getvalue()).hexdigest())
    write_aside(path.with_name(shard.index_name), index.getvalue())
    return shard


def verify_shards(manifest: Manifest, progress: Progress = lambda _: None) -> list[str]:
    """Read every shard and index again; returns a line for each one that is not what the manifest promises."""
    bad = []
    for shard in (shard for shards in manifest.splits.values() for shard in shards):
        for name, promised in ((shard.name, shard.sha256), (shard.index_name, shard.index_sha256)):
            path = manifest.folder / name
            if not path.is_file():
                bad.append(f"{path}: missing")
            elif sha256_of(path) != promised:
                bad.append(f"{path}: its content is not what was written")
        progress(shard.samples)
    return bad
