"""Shards of a raw set as small as can be, each data set in a folder of its own."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from factories import tiny
from wavemix.data import Manifest, Options, Plan, make_plan, write_shards


def plan_of(*, samples_per_shard: int = 4, **sizes: Any) -> Plan:
    how = Options(samples_per_shard=samples_per_shard)
    return make_plan(tiny.raw_set(**sizes), name="tiny", source={"name": "tiny"}, options=how)


@pytest.fixture
def planned() -> Callable[..., Plan]:
    return plan_of


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Manifest]:
    """Writes a tiny data set."""
    folders = (tmp_path / f"shards-{number}" for number in itertools.count())

    def write(**how: Any) -> Manifest:
        return write_shards(plan_of(**how), next(folders))

    return write
