"""Decides how a measured number is written, and what protocol stands behind a metric's name.

It does not know where the numbers come from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

NARROW_SPACE: Final = "\N{NARROW NO-BREAK SPACE}"
NO_NUMBER: Final = "\N{EN DASH}"


@dataclass(frozen=True)
class Protocol:
    """What a metric's name promises; a share of samples is shown in per cent and has a sampling interval."""

    text: str
    share_of_samples: bool = False


PROTOCOLS: Final[Mapping[str, Protocol]] = {
    "top1": Protocol(
        "share of the held-out samples whose most probable class is the true one, each sample counted once", True
    ),
    "top5": Protocol(
        "share of the held-out samples whose true class is among the five most probable ones, each sample counted once",
        True,
    ),
    "loss": Protocol("the training loss, averaged over the held-out samples, each sample counted once"),
}
UNKNOWN: Final = Protocol("as defined under this name in the wavemix.metrics module")


def protocol(metric: str) -> Protocol:
    """The protocol of a metric; one that this report has no words for points to its definition."""
    return PROTOCOLS.get(metric, UNKNOWN)


def write_score(metric: str, value: float | None, num_samples: int | None = None) -> str:
    """A metric's value for reading: shares of samples in per cent, all else with four digits.

    A share has two decimals, or one where it was measured on so few samples that one more moves the first.
    """
    if value is None or not math.isfinite(value):
        return NO_NUMBER if value is None else str(value)
    if protocol(metric).share_of_samples:
        decimals = 1 if num_samples is not None and num_samples < 1000 else 2
        return f"{100 * value:.{decimals}f}{NARROW_SPACE}%"
    return write_number(value)


def write_number(value: float) -> str:
    """Four significant digits, without an exponent between 0.001 and a million; counts in groups of three."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", NARROW_SPACE)
    if 1e-3 <= abs(value) < 1e6:
        digits = max(0, 3 - math.floor(math.log10(abs(value))))
        return f"{value:,.{digits}f}".replace(",", NARROW_SPACE)
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def sampling_interval(share: float, num_samples: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share that was measured on independent samples.

    It says how far the share may move on another test split of this size; it says nothing of another training seed.

    Args:
        share: In [0, 1].
        num_samples: At least 1.

    Returns:
        Lower and upper end, in [0, 1].

    Source: Wilson (1927), equation 5, with z = 1.96.
    """
    z = 1.96
    spread = 1 + z * z / num_samples
    centre = (share + z * z / (2 * num_samples)) / spread
    half = z / spread * math.sqrt(share * (1 - share) / num_samples + z * z / (4 * num_samples**2))
    return max(0.0, centre - half), min(1.0, centre + half)
