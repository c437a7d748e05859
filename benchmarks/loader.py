"""The loader beside WebDataset and torch's DataLoader over files, and beside decoding alone, which no loader can beat.

The same JPEGs for all, from the page cache, and the same change of size. That all yield the same samples is checked
before any clock starts. README.md beside this file says how a row is read.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import simplejpeg
import torch

from benchmarks import _loaders as ways
from benchmarks._harness import Row, publish
from benchmarks._loaders import Batches, Stored
from benchmarks._pictures import SIZE
from benchmarks._progress import Progress
from benchmarks._rates import Side, beside, in_turns, rate_of

PICTURES = 2000
LARGE = (1000, 750)
LARGE_COSTS = 3  # times as much to decode: so many fewer of them are taken
WORKERS = 2
WARM_UP = 1
OF_THE_LIMIT = 0.9  # of decoding alone, per core
FASTER = 1.0  # than the peers
# Decoded at half the size, a picture is another one than the whole one made smaller: on average by how much of 255.
MOST_DIFFERENT = 4.0
FOR_A_LOOK = 50  # pictures

OURS = "this loader"
ALONE = "decode alone"
WEB, FILES = "WebDataset, same decoder", "torch over files, same decoder"
WEB_PILLOW, FILES_PILLOW = 'WebDataset, decode("rgb8")', "torch over files, Pillow"
PARTS = ("libraries", "core", "workers", "large")


@dataclass(frozen=True)
class Setting:
    """What is measured on."""

    pictures: Stored
    large: Stored
    rounds: int
    progress: Progress


def main() -> None:
    """Measure, print and write ``results/loader.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loader", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="turns of which a median is taken (5)")
    parser.add_argument(
        "--pictures",
        metavar="N",
        type=int,
        default=PICTURES,
        help=f"of how many an epoch is; with any number but {PICTURES}, results are printed and not written",
    )
    parser.add_argument(
        "--only",
        metavar="PART",
        nargs="+",
        choices=PARTS,
        help=f"a part, whose results are printed and not written: {', '.join(PARTS)}",
    )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if options.pictures < 8 * ways.BATCH:
        parser.error(f"--pictures must be at least {8 * ways.BATCH}: eight batches")
    parts = options.only or PARTS
    torch.set_num_threads(1)

    work = work_of_parts(options.rounds)
    progress = Progress({"pictures": [1.0, 1.0], **{part: [work[part]] for part in parts}})
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="wavemix-bench-") as folder:
        progress.phase("pictures", f"{options.pictures} of about {SIZE[0]}x{SIZE[1]}, in {folder}")
        pictures = ways.store(Path(folder) / "usual", options.pictures, SIZE)
        large = ways.store(Path(folder) / "large", options.pictures // LARGE_COSTS, LARGE)
        progress.phase("pictures", "same samples?")
        check_equal(pictures)
        check_similar(large)
        setting = Setting(pictures, large, options.rounds, progress)
        measure = {"libraries": of_libraries, "core": of_a_core, "workers": of_workers, "large": of_large}
        for part in parts:
            rows += measure[part](setting)
    progress.end()
    notes = [
        f"medians of {options.rounds} rounds, each of an epoch",
        f"{told(pictures, SIZE)}; large: {told(large, LARGE)}; all cut to {ways.SIDE}x{ways.SIDE} alike",
    ]
    save = options.only is None and options.pictures == PICTURES
    publish("loader", rows, notes, save=save)


def of_libraries(setting: Setting) -> list[Row]:
    """Decoding to full size and nothing else."""
    rates = measured(
        setting,
        "libraries",
        {
            name: lambda decode=decode: rate_of([decode(content)] for content in setting.pictures.contents)
            for name, decode in ways.LIBRARIES.items()
        },
    )
    return [
        Row(f"decode 500x375: {name}", rate, "images/s", rates["Pillow"], rate / rates["Pillow"])
        for name, rate in rates.items()
    ]


def of_a_core(setting: Setting) -> list[Row]:
    """Everything in this process."""
    rates = measured(
        setting,
        "core",
        {ALONE: lambda: rate_of([image] for image in ways.alone(setting.pictures))}
        | {name: side(setting.pictures, way) for name, way in ways_of(setting.pictures).items()},
    )
    return [
        beside(f"one core: {OURS} / {ALONE}", rates, OURS, ALONE, goal=OF_THE_LIMIT),
        beside(f"one core: {OURS} / {WEB}", rates, OURS, WEB, goal=FASTER),
        beside(f"one core: {OURS} / {FILES}", rates, OURS, FILES, goal=FASTER),
        beside(f"one core: {OURS} / {WEB_PILLOW}", rates, OURS, WEB_PILLOW, goal=FASTER),
        beside(f"one core: {OURS} / {FILES_PILLOW}", rates, OURS, FILES_PILLOW, goal=FASTER),
    ]


def of_workers(setting: Setting) -> list[Row]:
    """Decoding in processes of the loader; and in this one, to see what more cores bring."""
    name_here = f"{OURS}, no process"
    loaders = ways_of(setting.pictures, num_workers=WORKERS)
    sides = {name: side(setting.pictures, way, WORKERS) for name, way in loaders.items()}
    here = side(setting.pictures, partial(ways.ours, setting.pictures))
    rates = measured(setting, "workers", sides | {name_here: here})
    title = f"{WORKERS} processes: {OURS}"
    return [
        beside(f"{title} / none", rates, OURS, name_here),
        beside(f"{title} / {WEB}", rates, OURS, WEB, goal=FASTER),
        beside(f"{title} / {FILES}", rates, OURS, FILES, goal=FASTER),
        beside(f"{title} / {WEB_PILLOW}", rates, OURS, WEB_PILLOW, goal=FASTER),
        beside(f"{title} / {FILES_PILLOW}", rates, OURS, FILES_PILLOW, goal=FASTER),
    ]


def of_large(setting: Setting) -> list[Row]:
    """JPEGs of which less than the whole has to be decoded, in this process."""
    scaled, full = f"{OURS}, scaled decoding", f"{OURS}, full decoding"
    rates = measured(
        setting,
        "large",
        {
            ALONE: lambda: rate_of([image] for image in ways.alone(setting.large, min_side=ways.SIDE)),
            scaled: side(setting.large, partial(ways.ours, setting.large, min_side=ways.SIDE)),
            full: side(setting.large, partial(ways.ours, setting.large)),
            WEB_PILLOW: side(setting.large, partial(ways.web, setting.large, "rgb8")),
        },
    )
    return [
        beside(f"large: {scaled} / full", rates, scaled, full),
        beside(f"large: {scaled} / {ALONE}, scaled", rates, scaled, ALONE, goal=OF_THE_LIMIT),
        beside(f"large: {scaled} / {WEB_PILLOW}", rates, scaled, WEB_PILLOW, goal=FASTER),
    ]


def ways_of(stored: Stored, **how: int) -> dict[str, Callable[[], Batches]]:
    """All loaders by name."""
    return {
        OURS: partial(ways.ours, stored, **how),
        WEB: partial(ways.web, stored, ways.decode_member, **how),
        FILES: partial(ways.files, stored, ways.decode_file, **how),
        WEB_PILLOW: partial(ways.web, stored, "rgb8", **how),
        FILES_PILLOW: partial(ways.files, stored, ways.pillow_file, **how),
    }


def side(stored: Stored, way: Callable[[], Batches], num_workers: int = 0) -> Side:
    """The rate of an epoch of a loader; with processes, of the time in which all of them are at work.

    So the first and the last batch of each process do not count: before that it starts, and after that it idles.
    """

    def run() -> float:
        with closing(way()) as batches:
            labels = (labels_b for _, labels_b in batches)
            return rate_of(islice(labels, stored.steps - num_workers), skip=num_workers)

    return run


def measured(setting: Setting, part: str, sides: Mapping[str, Side]) -> dict[str, float]:
    """Rates of the sides of one part, shown meanwhile."""
    setting.progress.phase(part, f"{', '.join(sides)}; {setting.rounds} rounds")
    return in_turns(
        sides,
        setting.rounds,
        warm_up=WARM_UP,
        on_round=lambda done: setting.progress.part((done + WARM_UP) / (setting.rounds + WARM_UP)),
    )


def check_equal(pictures: Stored) -> None:
    """Raise AssertionError if the libraries decode differently, or the loaders give other samples."""
    for content in pictures.contents[:FOR_A_LOOK]:
        expected = simplejpeg.decode_jpeg(content)
        for name, decode in ways.LIBRARIES.items():
            assert np.array_equal(decode(content), expected), f"{name} and simplejpeg decode a picture differently"
    ways_here, ways_there = ways_of(pictures), ways_of(pictures, num_workers=WORKERS)
    expected_samples = ways.digests(ways_here[OURS]())
    assert len(expected_samples) == len(pictures.files)
    for where, loaders in (("", ways_here), (f" in {WORKERS} processes", ways_there)):
        for name, way in loaders.items():
            assert ways.digests(way()) == expected_samples, f"{name}{where} gives other samples than {OURS}"


def check_similar(large: Stored) -> None:
    """Raise AssertionError if scaled decoding gives other pictures than full decoding and then the change of size."""
    scaled, full = ways.alone(large, min_side=ways.SIDE), ways.alone(large)
    pairs = islice(zip(scaled, full, strict=True), FOR_A_LOOK)
    difference = float(np.mean([np.abs(ours.astype(int) - theirs).mean() for ours, theirs in pairs]))
    assert difference <= MOST_DIFFERENT, f"scaled and full decoding differ by {difference:.1f} of 255 on average"


def work_of_parts(rounds: int) -> dict[str, float]:
    """How long each part takes, about, in epochs of decoding and cutting to size."""
    epochs = {"libraries": 2.0, "core": 7.0, "workers": 5.0, "large": 4.0}
    return {part: count * (rounds + WARM_UP) for part, count in epochs.items()}


def told(stored: Stored, size: tuple[int, int]) -> str:
    """How many pictures there are, and how large."""
    kilobytes = sum(map(len, stored.contents)) / len(stored.contents) / 1000
    return f"{len(stored.contents)} JPEGs of about {size[0]}x{size[1]} and {kilobytes:.0f} kB"


if __name__ == "__main__":
    main()
