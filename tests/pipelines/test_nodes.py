"""A node that is taken away: training is told before, saves, and goes on with the workers that are left."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]

Project = Any  # tests/pipelines/conftest.py

SAMPLES_PER_EPOCH, NUM_EPOCHS = 1259, 45


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head and a node, each with room for one worker."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_prestart_worker_first_driver", "0")  # as in a Ray of our own
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    room = {"num_cpus": 2, "resources": {"room": 1}}
    cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **room})
    cluster.add_node(**room)
    yield cluster
    cluster.shutdown()


def test_a_node_is_taken_away_after_a_notice(project: Project, cluster: Any) -> None:
    changes = {
        "launch.address": cluster.address,
        "launch.num_workers": "{min: 1, max: 2}",
        "launch.resources_per_worker": "{room: 1}",
        "experiments.digits.recipe.phases.0.num_epochs": NUM_EPOCHS - 1,
        "experiments.digits.recipe.phases.1.num_epochs": 1,
        "experiments.digits.recipe.eval_every_epochs": NUM_EPOCHS,
    }
    words = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    project.more_env.update(RAY_AUTH_MODE="disabled", RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S="10")
    process = project.start("python", "-m", "pipelines.train", "digits", *words)
    project.wait_for("a step", lambda: project.rows("metrics.jsonl"), process)
    assert project.last_step() == 0

    (node,) = cluster.worker_nodes
    seconds = 6
    reason = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "a spot machine"]
    project.run(
        *("ray", "drain-node", "--address", cluster.address, "--node-id", node.node_id, *reason),
        *("--deadline-remaining-seconds", str(seconds)),
    )
    project.wait_for("a checkpoint", project.last_step, process)
    saved = project.last_step()
    time.sleep(seconds)
    cluster.remove_node(node, allow_graceful=False)

    assert process.wait(timeout=200) == 0, (project.folder / "started.log").read_text()
    (continued,) = [row["text"] for row in project.rows("faults.jsonl") if row["kind"] == "continued"]
    assert continued == f"goes on after step {saved}"
    told = [row["train/epoch_samples"] for row in project.rows("metrics.jsonl") if "train/epoch_samples" in row]
    assert told == [SAMPLES_PER_EPOCH] * NUM_EPOCHS
