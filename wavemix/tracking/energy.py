"""How much energy a node has drawn between two looks: by its meters, and estimated where it has none.

It knows no row and no file but those of the processors' meters (RAPL), which the kernel shows below
``/sys/class/powercap``. They are of the whole machine, whoever works on it; many a machine lets only root read them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Counter:
    """Microjoules; it begins at 0 again after ``largest``."""

    value: int
    largest: int


@dataclass(frozen=True)
class Meters:
    """A node's meters at one moment.

    ``time``: seconds, of a clock that is never set. ``processors``: by zone, none where none can be read. ``gpus``: as
    ``read_gpu`` gives them.
    """

    time: float
    processors: Mapping[str, Counter]
    gpus: Sequence[Mapping[str, float]]


def energy_between(before: Meters, now: Meters, *, busy_percentage: float, cpu_watts: float | None) -> dict[str, float]:
    """``energy_joules`` by meters, ``estimated_energy_joules`` of what has none; each is left out if there is nothing.

    A GPU without a meter of energy is estimated by its power now; processors by their utilisation and ``cpu_watts``,
    what they draw at full load. Less than a turn of a counter must lie between the looks: it takes ten minutes or more.
    """
    seconds = now.time - before.time
    metered, estimated = [], []
    if now.processors:
        metered.append(_drawn(before.processors, now.processors))
    elif cpu_watts is not None:
        estimated.append(busy_percentage / 100 * cpu_watts * seconds)
    for earlier, gpu in zip(before.gpus, now.gpus, strict=True):
        if "joules" in earlier and "joules" in gpu:
            metered.append(gpu["joules"] - earlier["joules"])
        elif "power_usage_watts" in gpu:
            estimated.append(gpu["power_usage_watts"] * seconds)
    found = {"energy_joules": metered, "estimated_energy_joules": estimated}
    return {name: sum(joules) for name, joules in found.items() if joules}


def read_processors(root: Path = POWERCAP) -> dict[str, Counter]:
    """The counters of processor packages and of memory beside them; none where there is none that can be read.

    The zones ``core`` and ``uncore`` are parts of their package, and ``psys`` has packages as parts.
    """
    try:
        return {zone.name: _counter(zone) for zone in root.glob("intel-rapl:*") if _counts(zone)}
    except OSError:
        return {}


def _counts(zone: Path) -> bool:
    name = (zone / "name").read_text().strip()
    return name.startswith("package") or name == "dram"


def _counter(zone: Path) -> Counter:
    return Counter(int((zone / "energy_uj").read_text()), int((zone / "max_energy_range_uj").read_text()))


def _drawn(before: Mapping[str, Counter], now: Mapping[str, Counter]) -> float:
    turned = ((now[zone].value - before[zone].value) % (now[zone].largest + 1) for zone in now.keys() & before.keys())
    return sum(turned) / 1e6
