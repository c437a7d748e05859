"""What every source hands to the shard writer. It knows no data set by name and reads no file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wavemix.data.schema import Record


@dataclass(frozen=True)
class RawSet:
    """A data set before sharding: what there is, and how to read one of it.

    ``items`` are small (a path, a number) and in a fixed order; ``record`` reads one when its shard is written.
    ``fingerprint`` changes when the raw files do.
    """

    classes: tuple[str, ...]
    items: Mapping[str, Sequence[Any]]  # by split: train, val, test
    record: Callable[[Any], Record]
    fingerprint: str
