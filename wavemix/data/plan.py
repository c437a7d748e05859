"""What is to be written before anything is: which samples go into which shard, and the digest of all that decides it.

It reads no picture and writes no file. Two preparations with the same plan give the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from wavemix.data.admit import Admission
from wavemix.data.manifest import FORMAT
from wavemix.data.raw.items import Item, RawSet, fingerprint_of
from wavemix.data.schema import SCHEMAS, SPLITS
from wavemix.errors import DataError

ENCODERS = ("pillow", "simplejpeg")
"""Packages whose version may change the bytes of a picture that is encoded anew."""


@dataclass(frozen=True)
class Options:
    """What is done to the samples of any source; ``wavemix.config.schema.Data`` says what each means."""

    samples_per_shard: int
    shuffle_seed: int | None = None
    check: bool = True
    shortest_side: int | None = None
    jpeg_quality: int | None = 95


@dataclass(frozen=True)
class ShardJob:
    """One shard to write; small, and sent to another process as it is."""

    name: str
    split: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Plan:
    """A whole preparation. ``digest`` names it: a preparation that was killed goes on where the digest is the same."""

    name: str
    digest: str
    raw: RawSet
    source: Mapping[str, Any]
    options: Options
    admission: Admission
    jobs: tuple[ShardJob, ...]

    @property
    def num_samples(self) -> int:
        return sum(len(job.items) for job in self.jobs)


def make_plan(raw: RawSet, *, name: str, source: Mapping[str, Any], options: Options, subset: bool = False) -> Plan:
    """Cut the samples of a raw set into shards.

    Args:
        raw: What there is.
        name: The data set's name, for people.
        source: The options that chose the raw data, kept in the manifest.
        options: What is done to any raw data.
        subset: Fewer samples than were published are meant.

    Raises:
        DataError: A split is empty, has not the published number of samples, or holds a key twice.
    """
    _check(raw, name, subset=subset)
    try:
        admission = Admission(
            schema=raw.schema,
            num_classes=len(raw.classes),
            check=options.check,
            shortest_side=options.shortest_side,
            jpeg_quality=options.jpeg_quality,
        )
    except ValueError as error:
        raise DataError(f"data {name}: {error}") from None
    jobs: list[ShardJob] = []
    digests: list[object] = []
    for split in SPLITS:
        if split not in raw.items:
            continue
        items = raw.items[split]
        if split == "train" and options.shuffle_seed is not None:
            items = _mixed(items, options.shuffle_seed)
        digests.append((split, [item[:2] for item in items]))
        starts = range(0, len(items), options.samples_per_shard)
        jobs.extend(
            ShardJob(f"{split}-{number:06d}.tar", split, tuple(items[start : start + options.samples_per_shard]))
            for number, start in enumerate(starts)
        )
    encoders = [version(package) for package in ENCODERS] if options.shortest_side else []
    what = (FORMAT, raw.schema, raw.classes, raw.fingerprint, sorted(source.items()), asdict(options), encoders)
    return Plan(name, fingerprint_of([what, *digests]), raw, source, options, admission, tuple(jobs))


def _check(raw: RawSet, name: str, *, subset: bool) -> None:
    assert raw.schema in SCHEMAS
    assert set(raw.items) <= set(SPLITS)
    for split, items in raw.items.items():
        if not items:
            raise DataError(f"data {name}: no sample for {split}; give it a larger share")
        if len({item.key for item in items}) < len(items):
            seen: set[str] = set()
            twice = next(item.key for item in items if item.key in seen or seen.add(item.key))  # type: ignore[func-returns-value]
            raise DataError(f"data {name}: two samples of {split} with the key {twice!r}; keys must be unique")
    found = {split: len(items) for split, items in raw.items.items()}
    if not subset and raw.expected and found != dict(raw.expected):
        told = ", ".join(f"{split} {found.get(split, 0):,} of {count:,}" for split, count in raw.expected.items())
        raise DataError(
            f"data {name}: not as many samples as were published: {told}. Complete the raw files, or allow a part of "
            f"them with `subset: true` in data.{name}.source (it is kept in the manifest)"
        )


def _mixed(items: Sequence[Item], seed: int) -> list[Item]:
    # Raw Philox numbers, sorted: unlike Generator.permutation their stream is promised never to change.
    keys = np.random.Philox(key=seed).random_raw(len(items))
    return [items[index] for index in np.argsort(keys, kind="stable")]
