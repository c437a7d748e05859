"""Preparing on a Ray cluster of two nodes, one of which dies."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from factories import tiny
from wavemix.data import Options, Plan, make_plan, write_shards
from wavemix.errors import DataError
from wavemix.launch.ray_map import on_ray

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two raylets with two logical CPUs each; tasks can import the factories."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(tiny.__file__).parent.parent), str(Path.cwd())]))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    cluster.add_node(num_cpus=2)
    yield cluster
    cluster.shutdown()


def plan_of(*, seconds: float) -> Plan:
    raw = tiny.raw_set(train=60, val=10, test=10, seconds=seconds)
    return make_plan(raw, name="tiny", source={}, options=Options(samples_per_shard=5))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_cluster_of_two_nodes_writes_the_same_bytes_also_when_one_dies(cluster: Any, tmp_path: Path) -> None:
    whole = write_shards(plan_of(seconds=0.05), tmp_path / "whole")
    workers: Callable[..., Any] = on_ray(cluster.address, num_cpus=1)

    def stopping(function: Any, arguments: Any) -> Any:
        for count, result in enumerate(workers(function, arguments)):
            if count == 3:
                raise KeyboardInterrupt
            yield result

    with pytest.raises(KeyboardInterrupt):
        write_shards(plan_of(seconds=0.05), tmp_path / "cluster", workers=stopping)
    assert not (tmp_path / "cluster").exists()

    told: list[int] = []

    def progress(count: int) -> None:
        told.append(count)
        if len(told) == 3:  # while its tasks run
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    manifest = write_shards(plan_of(seconds=0.05), tmp_path / "cluster", workers=workers, progress=progress)
    assert told[0] >= 15
    assert sum(told) == 80
    assert content(manifest.folder) == content(whole.folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster", "whole"]

    def fail(_: Any) -> Any:
        raise DataError("raw/all.tar: cannot read a.jpg: Input/output error")

    with pytest.raises(DataError, match=r"^raw/all\.tar: cannot read a\.jpg: Input/output error$"):
        list(workers(fail, [1, 2]))
