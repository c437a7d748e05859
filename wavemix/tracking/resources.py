"""What a run has used, over all its nodes and all its pieces: added up from what was sampled, and priced.

It knows the rows of ``system-*.jsonl``; what was not sampled, as between two pieces of a run, does not count.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from wavemix.files import write_aside
from wavemix.tracking.jsonl import Row, read_rows

JOULES_OF_A_KWH = 3.6e6
SECONDS_OF_AN_HOUR = 3600


@dataclass(frozen=True)
class Resources:
    """Sums over nodes; None is not known.

    ``cpu_hours``: of cores that were busy. ``gpu_hours``: of GPUs that the run held, busy or not. ``energy_kwh``: by
    meters; ``estimated_energy_kwh``: of what had none. ``network_gigabytes``: sent and received. ``cost``: in the
    currency of the prices, and not known if one of its parts is not.
    """

    num_nodes: int
    node_hours: float
    cpu_hours: float
    gpu_hours: float
    network_gigabytes: float
    energy_kwh: float | None
    estimated_energy_kwh: float | None
    cost: float | None


def resources_of(run_dir: Path, *, price_per_kwh: float | None, price_per_node_hour: float | None) -> Resources:
    """Add up what all nodes have sampled."""
    num_nodes, seconds, cpu, gpu, megabytes = 0, 0.0, 0.0, 0.0, 0.0
    metered: float | None = None
    estimated: float | None = None
    for path in run_dir.glob("system-*.jsonl"):
        num_nodes += 1
        for row in _with_short_names(path):
            seconds += row["seconds"]
            cpu += row["seconds"] * row["cpus"] * row["cpu_utilization_percentage"] / 100
            gpu += row["seconds"] * row["gpus"]
            megabytes += row["network_receive_megabytes"] + row["network_transmit_megabytes"]
            metered = _plus(metered, row.get("energy_joules"))
            estimated = _plus(estimated, row.get("estimated_energy_joules"))
    node_hours = seconds / SECONDS_OF_AN_HOUR
    joules = _plus(metered, estimated)
    costs: list[float | None] = []
    if price_per_kwh is not None:
        costs.append(None if joules is None else price_per_kwh * joules / JOULES_OF_A_KWH)
    if price_per_node_hour is not None:
        costs.append(price_per_node_hour * node_hours)
    return Resources(
        num_nodes=num_nodes,
        node_hours=node_hours,
        cpu_hours=cpu / SECONDS_OF_AN_HOUR,
        gpu_hours=gpu / SECONDS_OF_AN_HOUR,
        network_gigabytes=megabytes / 1000,
        energy_kwh=None if metered is None else metered / JOULES_OF_A_KWH,
        estimated_energy_kwh=None if estimated is None else estimated / JOULES_OF_A_KWH,
        cost=_sum_if_known(costs),
    )


def write_resources(run_dir: Path, resources: Resources) -> None:
    write_aside(run_dir / "resources.json", (json.dumps(asdict(resources), indent=1) + "\n").encode())


def final_numbers(run_dir: Path) -> dict[str, float]:
    """What is known of a run's resources, by name; nothing where they have not been written."""
    path = run_dir / "resources.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    return {name: value for name, value in known.items() if value is not None}


def _with_short_names(path: Path) -> Iterator[Row]:
    for row in read_rows(path):
        yield {key.rpartition("/")[2]: value for key, value in row.items()}


def _sum_if_known(costs: list[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if costs and len(known) == len(costs) else None


def _plus(one: float | None, other: float | None) -> float | None:
    return one if other is None else other if one is None else one + other
