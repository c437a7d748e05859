"""A plan -> a folder of shards with its manifest: in parallel, whole or absent, and gone on with after a crash.

Shards are written in a folder beside the final one, which gets its name when the last of them is there. Where the
processes come from that write them, it does not know.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wavemix.data.admit import Admission, Rejected, admit
from wavemix.data.manifest import Manifest, Rejection, Shard, check_present, read_manifest, write_manifest
from wavemix.data.plan import Plan, ShardJob
from wavemix.data.raw.items import Parts
from wavemix.data.schema import Record
from wavemix.data.shards import write_shard
from wavemix.errors import DataError
from wavemix.files import sync_folder, write_aside

Workers = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""Calls a function with each argument, somewhere, and gives the results in any order."""

Progress = Callable[[int], None]
"""Called with how many samples were done since the last call; first with how many were done before this process."""


@dataclass(frozen=True)
class Written:
    """What became of a shard's samples."""

    shard: Shard
    rejected: tuple[Rejection, ...]


def in_this_process(function: Callable[[Any], Any], arguments: Sequence[Any]) -> Iterator[Any]:
    """The simplest ``Workers``."""
    return map(function, arguments)


def write_shards(
    plan: Plan,
    folder: Path,
    *,
    max_rejected: float = 0.0,
    workers: Workers = in_this_process,
    progress: Progress = lambda _: None,
) -> Manifest:
    """Write what is missing of the plan's shards, then the manifest; then the folder gets its name.

    Args:
        plan: What to write.
        folder: The final folder. One that was made by the same plan is left as it is; any other is replaced at the end.
        max_rejected: The share of all samples that may be rejected; above it, nothing gets the final name.
        workers: Who writes; the bytes do not depend on it.
        progress: Told of every finished shard.

    Raises:
        DataError: A raw file cannot be read, too many samples were rejected, another process is at it, or a shard that
            was made before is missing.
    """
    if made := _made_before(plan, folder):
        progress(plan.num_samples)
        return made
    unfinished = folder.with_name(f".{folder.name}-{plan.digest[:12]}.unfinished")
    with _alone_in(unfinished):
        if not (unfinished / "manifest.json").is_file():  # else only its name was missing
            _write_manifest(plan, unfinished, _write_missing(plan, unfinished, max_rejected, workers, progress))
        _rename(unfinished, folder)
    return read_manifest(folder)


def _made_before(plan: Plan, folder: Path) -> Manifest | None:
    try:
        manifest = read_manifest(folder)
    except DataError:  # nothing, or what an older version wrote
        return None
    if manifest.plan != plan.digest:
        return None
    check_present(manifest)
    return manifest


def write_job(
    job: ShardJob, *, read: Callable[[Any], Parts], admission: Admission, folder: Path
) -> tuple[str, Written]:
    """Write one shard, wherever this runs."""
    rejected: list[Rejection] = []

    def admitted() -> Iterator[Record]:
        for item in job.items:
            try:
                yield admit(item.key, item.label, read(item.what), admission)
            except Rejected as why:
                rejected.append(Rejection(job.split, item.key, str(why)))

    return job.name, Written(write_shard(admitted(), folder / job.name), tuple(rejected))


def _write_missing(
    plan: Plan, folder: Path, max_rejected: float, workers: Workers, progress: Progress
) -> dict[str, Written]:
    """Every job's result: of those that are done already from their notes, of the others by doing them now."""
    (folder / "done").mkdir(exist_ok=True)
    _drop_halves(folder)
    written = dict(_done_before(plan.jobs, folder))
    rejected = [rejection for one in written.values() for rejection in one.rejected]
    samples = {job.name: len(job.items) for job in plan.jobs}
    progress(sum(samples[name] for name in written))
    write = partial(write_job, read=plan.raw.read, admission=plan.admission, folder=folder)
    for name, one in workers(write, [job for job in plan.jobs if job.name not in written]):
        # This note is what makes a shard done: it comes after the shard, and from this process alone.
        write_aside(folder / "done" / f"{name}.json", json.dumps(asdict(one)).encode())
        written[name] = one
        rejected.extend(one.rejected)
        _check_rejected(plan, rejected, max_rejected)
        progress(samples[name])
    _check_rejected(plan, rejected, max_rejected)
    return written


def _write_manifest(plan: Plan, folder: Path, written: Mapping[str, Written]) -> None:
    write_manifest(
        folder,
        name=plan.name,
        schema=plan.raw.schema,
        plan=plan.digest,
        fingerprint=plan.raw.fingerprint,
        source=plan.source,
        options=asdict(plan.options),
        classes=plan.raw.classes,
        splits={
            split: tuple(written[job.name].shard for job in plan.jobs if job.split == split)
            for split in dict.fromkeys(job.split for job in plan.jobs)
        },
        rejected=tuple(rejection for job in plan.jobs for rejection in written[job.name].rejected),
    )


def _done_before(jobs: Iterable[ShardJob], folder: Path) -> Iterator[tuple[str, Written]]:
    for job in jobs:
        note, tar = folder / "done" / f"{job.name}.json", folder / job.name
        if note.is_file() and tar.is_file():
            tree: Mapping[str, Any] = json.loads(note.read_bytes())
            one = Written(Shard(**tree["shard"]), tuple(Rejection(**rejection) for rejection in tree["rejected"]))
            if tar.stat().st_size == one.shard.bytes and tar.with_name(one.shard.index_name).is_file():
                yield job.name, one


def _check_rejected(plan: Plan, rejected: Sequence[Rejection], most: float) -> None:
    if len(rejected) > most * plan.num_samples:
        first = "; ".join(f"{one.key}: {one.reason}" for one in rejected[:2])
        raise DataError(
            f"data {plan.name}: {len(rejected)} of {plan.num_samples} samples rejected so far, {first}\n"
            f"more than max_rejected ({most:g}) of them; mend the raw files or raise it"
        )


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Nobody else writes into the folder, on this machine or on another that sees it, while the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "lock"
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets it go when the process dies
        except OSError:
            raise DataError(f"{folder}: another process is writing there; wait for it, or stop it") from None
        yield


def _drop_halves(folder: Path) -> None:
    """Delete what processes that were killed, here or on a lost node, were writing."""
    for half in folder.glob("**/.*.partial"):
        half.unlink(missing_ok=True)


def _rename(unfinished: Path, folder: Path) -> None:
    """Give the finished folder its name, in place of an older one of that name; and drop what other plans left."""
    _drop_halves(unfinished)
    shutil.rmtree(unfinished / "done", ignore_errors=True)
    (unfinished / "lock").unlink()
    replaced = folder.with_name(f".{folder.name}-replaced-{os.getpid()}")
    if folder.exists():
        folder.rename(replaced)
    unfinished.rename(folder)
    sync_folder(folder.parent)
    for left in (replaced, *folder.parent.glob(f".{folder.name}-*.unfinished")):
        shutil.rmtree(left, ignore_errors=True)
