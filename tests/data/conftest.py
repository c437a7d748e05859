"""A raw data set as small as can be: sample number n is a picture of the shade n with the label n."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wavemix.data import Manifest, Record, write_shards
from wavemix.data.schema import encode_png
from wavemix.data.sources import RawSet


def record_of(number: int) -> Record:
    image = np.full((2, 3), number % 256, np.uint8)
    return Record(f"{number:04d}", {"png": encode_png(image), "cls": str(number).encode()})


@pytest.fixture
def raw() -> Callable[..., RawSet]:
    def make(train: int = 10, val: int = 3, test: int = 2) -> RawSet:
        numbers = iter(range(train + val + test))
        sizes = {"train": train, "val": val, "test": test}
        items = {split: list(itertools.islice(numbers, size)) for split, size in sizes.items()}
        return RawSet(("even", "odd"), items, record_of, "fingerprint")

    return make


@pytest.fixture
def written(raw: Callable[..., RawSet], tmp_path: Path) -> Callable[..., Manifest]:
    """Writes a tiny data set into a folder of its own."""
    folders = (tmp_path / f"shards-{number}" for number in itertools.count())

    def write(*, samples_per_shard: int = 4, **sizes: int) -> Manifest:
        return write_shards(
            raw(**sizes), next(folders), name="tiny", source={"name": "tiny"}, samples_per_shard=samples_per_shard
        )

    return write
