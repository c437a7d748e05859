"""Are the shards still what their manifest promises; and the bad ones made again. It knows no data set."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wavemix.data.location import location_of, open_shard
from wavemix.data.manifest import Manifest, Shard
from wavemix.data.plan import Plan
from wavemix.data.prepare import Progress, Workers, in_this_process, write_job
from wavemix.errors import DataError
from wavemix.files import sha256_of


@dataclass(frozen=True)
class Bad:
    """A shard that is not what was written."""

    shard: str
    reason: str  # names the file


def verify_shards(
    manifest: Manifest, *, workers: Workers = in_this_process, progress: Progress = lambda _: None
) -> list[Bad]:
    """Read every shard and every index again; what is not as promised comes back, in the manifest's order."""
    shards = list(manifest.all_shards())
    found: dict[str, str] = {}
    for shard, reason in workers(partial(_look_at, folder=manifest.folder), shards):
        progress(shard.samples)
        if reason:
            found[shard.name] = reason
    return [Bad(shard.name, found[shard.name]) for shard in shards if shard.name in found]


def _look_at(shard: Shard, *, folder: Path) -> tuple[Shard, str]:
    where = location_of(folder) or str(folder)
    try:
        with open_shard(folder, shard.name) as tar:
            if hashlib.file_digest(tar, "sha256").hexdigest() != shard.sha256:  # type: ignore[arg-type]
                return shard, f"{where}/{shard.name}: its content is not what was written"
        if sha256_of(folder / shard.index_name) != shard.index_sha256:
            return shard, f"{folder / shard.index_name}: its content is not what was written"
    except FileNotFoundError as error:
        return shard, f"{error.filename or f'{where}/{shard.name}'}: missing"
    except OSError as error:
        return shard, f"{where}/{shard.name}: cannot be read: {error}"
    return shard, ""


def repair_shards(
    manifest: Manifest,
    plan: Plan,
    bad: Sequence[Bad],
    *,
    workers: Workers = in_this_process,
    progress: Progress = lambda _: None,
) -> None:
    """Make the bad shards again from the raw data, beside the good ones, byte for byte as they were.

    Raises:
        DataError: The raw data or the options are not those of the manifest any more, or give other bytes; or the
            shards lie in an object store.
    """
    if location := location_of(manifest.folder):
        raise DataError(f"{location}: shards in an object store are not mended there; upload the bad ones again")
    if plan.digest != manifest.plan:
        raise DataError(
            f"{manifest.folder}: the raw data or the options have changed since it was prepared, so single shards "
            f"cannot be made again; `wavemix data prepare {manifest.name}` makes all of them"
        )
    promised = {shard.name: shard for shard in manifest.all_shards()}
    aside = manifest.folder.with_name(f".{manifest.folder.name}-repair")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        jobs = [job for job in plan.jobs if job.name in {one.shard for one in bad}]
        write = partial(write_job, read=plan.raw.read, admission=plan.admission, folder=aside)
        for name, written in workers(write, jobs):
            if written.shard != promised[name]:
                raise DataError(
                    f"{manifest.folder / name}: made again, it has another content; a raw file has changed with its "
                    f"size kept, or another version wrote it: `wavemix data prepare {manifest.name}` makes all of them"
                )
            for file in (written.shard.index_name, name):
                (aside / file).replace(manifest.folder / file)
            progress(written.shard.samples)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
