"""Energy between two looks, by hand; the processors' meters from files laid out as the kernel's."""

import os
from pathlib import Path

import pytest

from wavemix.tracking.energy import Counter, Meters, energy_between, read_processors

LARGEST = 262_143_328_850


def zone(root: Path, name: str, kind: str, microjoules: int) -> None:
    """As in /sys/class/powercap: zones and their parts lie side by side."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{kind}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text(f"{LARGEST}\n")


def meters(time: float, processors: dict[str, Counter] | None = None, *gpus: dict[str, float]) -> Meters:
    return Meters(time, processors or {}, gpus)


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages, one with its memory beside it; and what contains or is part of these."""
    zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 900_000)
    zone(tmp_path, "intel-rapl:0:1", "dram", 5_000_000)
    zone(tmp_path, "intel-rapl:1", "package-1", LARGEST - 999_999)
    zone(tmp_path, "intel-rapl:2", "psys", 70_000_000)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000_000)
    (tmp_path / "intel-rapl").mkdir()  # the control itself, without a counter
    return tmp_path


def test_every_joule_counts_once_also_when_a_counter_turns(powercap: Path) -> None:
    before = read_processors(powercap)
    assert set(before) == {"intel-rapl:0", "intel-rapl:0:1", "intel-rapl:1"}
    zone(powercap, "intel-rapl:0", "package-0", 31_000_000)  # 30 J
    zone(powercap, "intel-rapl:0:1", "dram", 7_500_000)  # 2.5 J
    zone(powercap, "intel-rapl:1", "package-1", 19_000_000)  # 1 J to its turn and 19 J behind it
    now = read_processors(powercap)
    drawn = energy_between(meters(0.0, before), meters(5.0, now), busy_percentage=50.0, cpu_watts=200.0)
    assert drawn == {"energy_joules": pytest.approx(52.5)}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_meters_that_only_root_may_read_are_none(powercap: Path) -> None:
    (powercap / "intel-rapl:0" / "energy_uj").chmod(0)
    assert read_processors(powercap) == {}


def test_a_meter_that_fails_is_none(powercap: Path) -> None:
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    assert read_processors(powercap) == {}


def test_a_machine_without_meters_has_none(tmp_path: Path) -> None:
    assert read_processors(tmp_path / "powercap") == {}
    assert energy_between(meters(0.0), meters(5.0), busy_percentage=50.0, cpu_watts=None) == {}


def test_processors_without_a_meter_are_estimated_by_their_utilisation() -> None:
    drawn = energy_between(meters(10.0), meters(14.0), busy_percentage=25.0, cpu_watts=200.0)
    assert drawn == {"estimated_energy_joules": 0.25 * 200 * 4}


def test_gpus_count_by_their_meter_or_else_by_their_power() -> None:
    drawn = energy_between(
        meters(0.0, None, {"joules": 1000.0, "power_usage_watts": 90.0}, {"power_usage_watts": 300.0}, {}),
        meters(2.0, None, {"joules": 1750.5, "power_usage_watts": 95.0}, {"power_usage_watts": 310.0}, {}),
        busy_percentage=10.0,
        cpu_watts=100.0,
    )
    assert drawn == {"energy_joules": 750.5, "estimated_energy_joules": 0.1 * 100 * 2 + 310 * 2}
