"""How many trials fit on a cluster at once: by every kind of resource, node by node."""

import pytest

from wavemix.errors import TrainingError
from wavemix.launch.sweeps.capacity import trials_at_once


@pytest.mark.parametrize(
    ("nodes", "worker", "workers", "most", "expected"),
    [
        ([{"CPU": 3}], {"CPU": 1}, 1, None, 3),
        ([{"CPU": 3}], {"CPU": 1}, 2, None, 1),  # the third CPU is half a trial: never the start of one
        ([{"CPU": 3}, {"CPU": 3}], {"CPU": 2}, 1, None, 2),  # two CPUs of two nodes are no place
        ([{"CPU": 16, "GPU": 4}, {"CPU": 2, "GPU": 4}], {"CPU": 2, "GPU": 1}, 2, None, 2),
        ([{"CPU": 16}, {"CPU": 16, "GPU": 2}], {"CPU": 1, "GPU": 1}, 1, None, 2),
        ([{"CPU": 8, "memory": 5e9}], {"CPU": 1, "memory": 2e9}, 1, None, 2),
        ([{"CPU": 8, "fast": 1.0}], {"CPU": 1, "fast": 0.3}, 1, None, 3),
        ([{"CPU": 0.9999999}], {"CPU": 1}, 1, None, 1),  # what Ray gives back is rounded
        ([{"CPU": 64}], {"CPU": 1}, 4, 5, 5),
    ],
)
def test_only_whole_trials_run_at_once(nodes, worker, workers, most, expected) -> None:  # type: ignore[no-untyped-def]
    assert trials_at_once(nodes, worker, workers=workers, most=most) == expected


def test_a_cluster_without_room_is_said_with_what_is_free() -> None:
    with pytest.raises(TrainingError) as caught:
        trials_at_once([{"CPU": 4, "GPU": 1}, {"CPU": 8}], {"CPU": 2, "GPU": 1}, workers=2, most=None)
    assert str(caught.value).splitlines()[:2] == [
        "launch: a trial needs 2 workers of CPU 2, GPU 1 at the same time, and there is room for 1",
        "  free on each node: CPU 4, GPU 1; CPU 8, GPU 0",
    ]
