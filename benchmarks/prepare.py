"""Preparing an image folder beside copying its files into one tar, and beside decoding them, which a check must do.

The same JPEGs, from the page cache, written to the same file system. That shards and tar hold the same bytes is checked
before any clock starts. README.md beside this file says how a row is read.
"""

import argparse
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks._harness import Row, compared, publish
from benchmarks._pictures import SIZE, contents_of, write_pictures
from benchmarks._progress import Progress
from benchmarks._rates import Side, beside, in_turns, rate_of
from wavemix.data import Manifest, Options, make_plan, read_source, write_shards
from wavemix.data.decode import decode_image
from wavemix.data.raw.archives import RawFolder
from wavemix.processes import in_processes

PICTURES = 2000
FOR_VAL = 4  # one of each class: an image folder wants a second split
SAMPLES_PER_SHARD = 1000
SAMPLES_PER_SMALL_SHARD = 50  # for the growth with processes, which have a shard each at a time
PROCESSES = 2
WARM_UP = 1
OF_COPYING = 0.8
OF_DECODING = 0.9

COPIED, DECODED = "tarfile", "decode alone"
UNCHECKED, CHECKED = "check=False", "check=True"


@dataclass(frozen=True)
class Raw:
    """The same pictures as files and in memory, and a folder for what is made of them."""

    root: Path
    contents: list[bytes]
    made: Path

    @property
    def megabytes(self) -> float:
        """Of a picture, on average."""
        return sum(map(len, self.contents)) / len(self.contents) / 1e6


def main() -> None:
    """Measure, print and write ``results/prepare.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prepare", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="turns of which a median is taken (5)")
    parser.add_argument(
        "--pictures",
        metavar="N",
        type=int,
        default=PICTURES,
        help=f"how many there are; with any number but {PICTURES}, results are printed and not written",
    )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if options.pictures < 8 * SAMPLES_PER_SMALL_SHARD:
        parser.error(f"--pictures must be at least {8 * SAMPLES_PER_SMALL_SHARD}: eight shards")

    turns = float(options.rounds + WARM_UP)
    progress = Progress({"pictures": [3.0, 3.0], "one process": [3 * turns], "growth": [6 * turns]})
    with tempfile.TemporaryDirectory(prefix="wavemix-bench-") as folder:
        progress.phase("pictures", f"{options.pictures} of about {SIZE[0]}x{SIZE[1]}, in {folder}")
        raw = make_raw(Path(folder), options.pictures)
        progress.phase("pictures", "same bytes?")
        check_equal(raw)
        progress.phase("one process", f"{options.rounds} rounds")
        rows = of_one_process(raw, options.rounds, progress)
        progress.phase("growth", f"1 and {PROCESSES} processes, {options.rounds} rounds")
        rows += of_processes(raw, options.rounds, progress)
    progress.end()
    notes = [
        f"medians of {options.rounds} rounds; {len(raw.contents)} JPEGs of about {SIZE[0]}x{SIZE[1]} and "
        f"{1000 * raw.megabytes:.0f} kB, from the page cache",
        "preparing syncs every file to the disk before it counts as written, tarfile does not; that is in the numbers",
    ]
    publish("prepare", rows, notes, save=options.pictures == PICTURES)


def make_raw(folder: Path, count: int) -> Raw:
    """An image folder of so many pictures."""
    paths = write_pictures(folder / "raw", {"train": count - FOR_VAL, "val": FOR_VAL})
    (folder / "made").mkdir()
    return Raw(folder / "raw", contents_of(paths), folder / "made")


def of_one_process(raw: Raw, rounds: int, progress: Progress) -> list[Row]:
    """Beside the limits: the whole call, with listing the folder and naming the finished one."""
    rates = measured(
        {
            COPIED: lambda: from_clean(raw, lambda: copy(raw)),
            UNCHECKED: lambda: from_clean(raw, lambda: prepare(raw, check=False)),
            DECODED: lambda: rate_of([decode_image(content)] for content in raw.contents),
            CHECKED: lambda: from_clean(raw, lambda: prepare(raw, check=True)),
        },
        rounds,
        progress,
    )
    return [
        beside(f"{UNCHECKED} / copying into a tar ({COPIED})", rates, UNCHECKED, COPIED, goal=OF_COPYING),
        compared(
            f"{UNCHECKED} / copying into a tar ({COPIED})",
            rates[UNCHECKED] * raw.megabytes,
            "MB/s",
            rates[COPIED] * raw.megabytes,
            more_is_better=True,
        ),
        beside(f"{CHECKED} / {DECODED}", rates, CHECKED, DECODED, goal=OF_DECODING),
        compared(
            f"{CHECKED} / {DECODED}",
            rates[CHECKED] * raw.megabytes,
            "MB/s",
            rates[DECODED] * raw.megabytes,
            more_is_better=True,
        ),
    ]


def of_processes(raw: Raw, rounds: int, progress: Progress) -> list[Row]:
    """Two processes beside one, while all are at work."""
    sides: dict[str, Side] = {
        f"{name}, {processes}": lambda check=name == CHECKED, processes=processes: growing(raw, check, processes)
        for name in (UNCHECKED, CHECKED)
        for processes in (1, PROCESSES)
    }
    rates = measured(sides, rounds, progress)
    return [
        beside(f"{name}: {PROCESSES} processes / 1", rates, f"{name}, {PROCESSES}", f"{name}, 1")
        for name in (UNCHECKED, CHECKED)
    ]


def measured(sides: Mapping[str, Side], rounds: int, progress: Progress) -> dict[str, float]:
    """Rates of the sides, shown meanwhile."""
    return in_turns(
        sides,
        rounds,
        warm_up=WARM_UP,
        on_round=lambda done: progress.part((done + WARM_UP) / (rounds + WARM_UP)),
    )


def from_clean(raw: Raw, call: Callable[[], object]) -> float:
    """Pictures a second of a call that starts with nothing made, and with nothing left to write for others."""
    clear(raw)
    start = time.perf_counter()
    call()
    return len(raw.contents) / (time.perf_counter() - start)


def growing(raw: Raw, check: bool, processes: int) -> float:
    """Pictures a second while all processes are at work: not before each has written a shard, nor after the first one
    may have run out of them."""
    clear(raw)
    done: list[tuple[float, int]] = []
    prepare(
        raw,
        check=check,
        processes=processes,
        samples_per_shard=SAMPLES_PER_SMALL_SHARD,
        told=lambda count: done.append((time.perf_counter(), count)),
    )
    _none_before, *shards = done
    counted = shards[processes:-processes]
    return sum(count for _, count in counted) / (counted[-1][0] - shards[processes - 1][0])


def prepare(
    raw: Raw,
    *,
    check: bool,
    processes: int = 1,
    samples_per_shard: int = SAMPLES_PER_SHARD,
    told: Callable[[int], None] = lambda _: None,
) -> Manifest:
    """The folder into shards, from listing its files on."""
    listed = read_source("image_folder", root=RawFolder(raw.root, raw.made / "scratch"))
    plan = make_plan(listed, name="pictures", source={}, options=Options(samples_per_shard, check=check))
    return write_shards(plan, raw.made / "shards", workers=in_processes(processes), progress=told)


def copy(raw: Raw) -> Path:
    """The same files into one tar, from listing them on."""
    with tarfile.open(raw.made / "copied.tar", "w") as tar:
        for path in sorted(raw.root.rglob("*.jpg")):
            tar.add(path, str(path.relative_to(raw.root)))
    return raw.made / "copied.tar"


def clear(raw: Raw) -> None:
    """Delete what was made, and wait for the disk."""
    shutil.rmtree(raw.made)
    raw.made.mkdir()
    os.sync()


def check_equal(raw: Raw) -> None:
    """Raise AssertionError if the shards hold other pictures than the tar, or a check changes them."""
    expected = sorted(jpegs_of(copy(raw)))
    assert len(expected) == len(raw.contents)
    for check in (False, True):
        manifest = prepare(raw, check=check)
        found = sorted(content for shard in manifest.all_shards() for content in jpegs_of(manifest.folder / shard.name))
        assert found == expected, f"preparing with check={check} changes the pictures"
        clear(raw)


def jpegs_of(path: Path) -> list[bytes]:
    """The pictures of a tar."""
    with tarfile.open(path) as tar:
        return [tar.extractfile(member).read() for member in tar if member.name.endswith(".jpg")]


if __name__ == "__main__":
    main()
