"""The cluster files for `ray up`, against Ray's own schema and by Ray's own checks. No cloud is asked."""

import json
import re
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest

Cluster = dict[str, Any]


@pytest.fixture(params=["aws", "gcp"])
def cluster(request: pytest.FixtureRequest, read: Callable[[str], list[Any]]) -> Cluster:
    (document,) = read(f"ray/{request.param}.yaml")
    assert isinstance(document, dict)
    return document


def test_it_is_valid_by_rays_schema(cluster: Cluster) -> None:
    schema = json.loads(Path(str(distribution("ray").locate_file("ray/autoscaler/ray-schema.json"))).read_text())
    rays = jsonschema.Draft7Validator(schema)
    rays.validate(cluster)
    assert not rays.is_valid({**cluster, "max_worker": 1})


@pytest.mark.filterwarnings("ignore")
def test_ray_accepts_it_and_installs_nothing_beside_the_image(cluster: Cluster) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config  # noqa: PLC0415  (it takes a second)

    prepared = prepare_config(cluster)
    validate_config(prepared)
    for key in ("setup_commands", "worker_setup_commands"):
        assert prepared[key] == [], f"{key} of Ray's defaults would install another Ray"
    assert prepared["head_setup_commands"] == cluster["head_setup_commands"]


def test_workers_are_spot_but_for_one_and_the_head_has_no_work(cluster: Cluster) -> None:
    types = cluster["available_node_types"]
    head = types[cluster["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    is_spot = {
        name: "InstanceMarketOptions" in kind["node_config"] or "scheduling" in kind["node_config"]
        for name, kind in types.items()
    }
    assert is_spot == {"head": False, "on_demand": False, "spot": True}
    assert types["on_demand"]["min_workers"] == 1
    assert cluster["max_workers"] == types["on_demand"]["max_workers"] + types["spot"]["max_workers"]


def test_every_node_has_the_image_the_shared_folder_and_the_token(cluster: Cluster, image: str) -> None:
    assert cluster["docker"]["image"].endswith(f"/{image}")
    options = cluster["docker"]["run_options"]
    assert "--volume=/mnt/wavemix:/srv/wavemix" in options
    assert "--env=RAY_AUTH_MODE=token" in options
    assert cluster["file_mounts"] == {"/home/wavemix/.ray": "~/.ray"}
    mounted = [command for command in cluster["initialization_commands"] if "sudo mount --types nfs" in command]
    assert len(mounted) == 1
    assert mounted[0].endswith(" /mnt/wavemix")


def test_the_dashboard_is_for_the_head_alone(cluster: Cluster) -> None:
    (start,) = [command for command in cluster["head_start_ray_commands"] if command.startswith("ray start")]
    assert "--dashboard-host=127.0.0.1" in start
    port = re.search(r"--port=(\d+)", start)
    assert port
    assert not 10002 <= int(port[1]) <= 19999, "Ray's workers listen there"
    assert any(f"$RAY_HEAD_IP:{port[1]}" in command for command in cluster["worker_start_ray_commands"])
