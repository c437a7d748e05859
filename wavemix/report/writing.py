"""Decides how a measured number is written for reading.

It does not know where the numbers come from; a metric's unit is that of its protocol.
"""

from __future__ import annotations

import math
from typing import Final

from wavemix.report.scores import protocol

NARROW_SPACE: Final = "\N{NARROW NO-BREAK SPACE}"
NO_NUMBER: Final = "\N{EN DASH}"
MINUS: Final = "\N{MINUS SIGN}"


def write_score(metric: str, value: float | None, num_samples: int | None = None) -> str:
    """A metric's value for reading: shares in per cent, dB with two decimals, all else with four digits.

    A share has two decimals, or one where it was measured on so few samples that one more moves the first.
    """
    if value is None or not math.isfinite(value):
        return NO_NUMBER if value is None else str(value)
    promised = protocol(metric)
    if promised.unit == "%":
        decimals = 1 if promised.of_samples and num_samples is not None and num_samples < 1000 else 2
        return f"{100 * value:.{decimals}f}{NARROW_SPACE}%"
    if promised.unit == "dB":
        return f"{value:.2f}{NARROW_SPACE}dB"
    return f"{int(value):012x}" if promised.unit == "digest" else write_number(value)


def write_gain(metric: str, value: float, baseline: float) -> str:
    """How far a value lies from its baseline: an error as a relative change, all else as a difference."""
    promised = protocol(metric)
    if not math.isfinite(value - baseline) or (promised.lower_is_better and baseline == 0):
        return NO_NUMBER
    if promised.lower_is_better:
        gain = f"{100 * (value / baseline - 1):+z.0f}{NARROW_SPACE}%"
    elif promised.unit == "dB":
        gain = f"{value - baseline:+z.2f}{NARROW_SPACE}dB"
    else:
        gain = f"{value - baseline:+z.4f}"
    return gain.replace("-", MINUS)


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


def write_large(count: int) -> str:
    """A count with three significant digits and a decimal prefix: 1.82 G for 1,823,456,789."""
    if count < 1000:
        return str(count)
    mantissa, exponent = f"{count:.2e}".split("e")
    thousands, rest = divmod(int(exponent), 3)
    return f"{float(mantissa) * 10**rest:.{2 - rest}f}{NARROW_SPACE}{' kMGTPE'[thousands]}"


def write_bytes(count: int) -> str:
    """MiB below one GiB, else GiB with two decimals."""
    return f"{count / 2**30:.2f}{NARROW_SPACE}GiB" if count >= 2**30 else f"{count / 2**20:.0f}{NARROW_SPACE}MiB"


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
