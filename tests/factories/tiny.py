"""A raw set as small as can be, importable by worker processes: sample number n is a picture of the shade n."""

import itertools
import time
from functools import partial

import numpy as np

from wavemix.data.decode import encode_png
from wavemix.data.raw.items import Item, Parts, RawSet
from wavemix.data.schema import LabelledImage


def read(number: int, *, seconds: float = 0.0) -> Parts:
    time.sleep(seconds)
    return {"image": encode_png(np.full((2, 3), number % 256, np.uint8))}


def as_it_is(sample: LabelledImage, _generator: object = None) -> LabelledImage:
    return sample


def raw_set(
    *, train: int = 10, val: int = 3, test: int = 2, seconds: float = 0.0, num_classes: int = 100_000
) -> RawSet:
    """``seconds`` is how long it takes to read a sample. Labels are the samples' numbers."""
    numbers = iter(range(train + val + test))
    items = {
        split: [Item(f"{number:04d}", number, number) for number in itertools.islice(numbers, size)]
        for split, size in {"train": train, "val": val, "test": test}.items()
    }
    return RawSet(
        schema="labelled_image",
        classes=tuple(map(str, range(num_classes))),
        items={split: some for split, some in items.items() if some},
        read=partial(read, seconds=seconds),
        fingerprint="fingerprint",
    )
