"""What a run has used, by hand."""

import json
import time
from pathlib import Path

import pytest

from wavemix.tracking import JsonLines, sampled_system
from wavemix.tracking.resources import Resources, final_numbers, resources_of, write_resources


def sampled(folder: Path, node: str, seconds: float, *, gpus: int = 0, busy: float = 50.0, **more: float) -> None:
    """One more row of a node with eight cores."""
    path = folder / f"system-{node}.jsonl"
    step = len(path.read_text().splitlines()) if path.exists() else 0
    values = {
        "cpu_utilization_percentage": busy,
        "network_receive_megabytes": 100.0,
        "network_transmit_megabytes": 20.0,
    }
    named = {f"system/{node}/{name}": value for name, value in {**values, **more}.items()}
    counted = {"seconds": seconds, "cpus": 8, "gpus": gpus}
    JsonLines(path, last_step=step).write({"step": step + 1, "time": 1e9, **counted, **named})


def test_all_nodes_and_all_pieces_of_a_run_are_added_up(tmp_path: Path) -> None:
    sampled(tmp_path, "a", 1800.0, gpus=2, energy_joules=3.6e6)
    sampled(tmp_path, "a", 1800.0, gpus=2, busy=100.0, energy_joules=1.8e6)  # perhaps days later
    sampled(tmp_path, "b", 900.0, busy=0.0, estimated_energy_joules=7.2e5)
    assert resources_of(tmp_path, price_per_kwh=0.4, price_per_node_hour=2.0) == Resources(
        num_nodes=2,
        node_hours=1.25,
        cpu_hours=0.5 * 8 * 0.5 + 0.5 * 8,
        gpu_hours=2.0,
        network_gigabytes=0.36,
        energy_kwh=1.5,
        estimated_energy_kwh=pytest.approx(0.2),
        cost=pytest.approx(1.7 * 0.4 + 1.25 * 2.0),
    )


@pytest.mark.parametrize(
    ("by_energy", "by_time", "cost"), [(None, None, None), (0.4, None, None), (0.4, 3.0, None), (None, 3.0, 1.5)]
)
def test_a_cost_of_which_a_part_is_not_known_is_not_known(
    tmp_path: Path, by_energy: float | None, by_time: float | None, cost: float | None
) -> None:
    """Here no node has a meter."""
    sampled(tmp_path, "a", 1800.0)
    used = resources_of(tmp_path, price_per_kwh=by_energy, price_per_node_hour=by_time)
    assert (used.energy_kwh, used.estimated_energy_kwh, used.cost) == (None, None, cost)


def test_what_is_known_has_a_name_and_what_is_not_has_none(tmp_path: Path) -> None:
    sampled(tmp_path, "a", 3600.0, estimated_energy_joules=3.6e6)
    write_resources(tmp_path, resources_of(tmp_path, price_per_kwh=None, price_per_node_hour=None))
    assert final_numbers(tmp_path) == {
        "num_nodes": 1,
        "node_hours": 1.0,
        "cpu_hours": 4.0,
        "gpu_hours": 0.0,
        "network_gigabytes": 0.12,
        "estimated_energy_kwh": 1.0,
    }
    assert json.loads((tmp_path / "resources.json").read_text())["cost"] is None
    assert final_numbers(tmp_path / "elsewhere") == {}


def test_what_the_sampler_writes_can_be_added_up(tmp_path: Path) -> None:
    for _ in range(2):
        with sampled_system(tmp_path, "a", every_seconds=3600, cpu_watts=100.0):
            time.sleep(0.1)
    used = resources_of(tmp_path, price_per_kwh=1.0, price_per_node_hour=None)
    assert used.num_nodes == 1
    assert 0 < used.node_hours < 0.1
    assert used.cost is not None
    assert used.cost >= 0
