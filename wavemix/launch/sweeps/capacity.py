"""How many trials of a sweep find room on a cluster at the same time. It is told what is free, and asks no cluster."""

from collections.abc import Mapping, Sequence

from wavemix.errors import TrainingError

Resources = Mapping[str, float]
"""By Ray's names: CPU, GPU, memory (in bytes), and the cluster's own."""

ROUNDING = 1e-4
"""Ray counts in units of so much."""


def trials_at_once(nodes: Sequence[Resources], worker: Resources, *, workers: int, most: int | None) -> int:
    """How many trials can have all of their workers at once, so that none holds a part and waits for the rest.

    Args:
        nodes: What is free on each.
        worker: What each worker needs on its node.
        workers: Of a trial.
        most: Trials that shall run at once; None is any number.

    Raises:
        TrainingError: Not even one trial fits: Ray would wait for ever.
    """
    room = sum(_places(node, worker) for node in nodes)
    if room < workers:
        needs = ", ".join(f"{name} {amount:g}" for name, amount in worker.items())
        free = "; ".join(", ".join(f"{name} {node.get(name, 0):g}" for name in worker) for node in nodes)
        raise TrainingError(
            f"launch: a trial needs {workers} workers of {needs} at the same time, and there is room for {room}\n"
            f"  free on each node: {free or 'no node'}\n"
            "  lower sweeps.*.workers_per_trial or what a worker needs (launch), or wait until more is free"
        )
    return min(room // workers, most or room)


def _places(node: Resources, worker: Resources) -> int:
    return min(int((node.get(name, 0.0) + ROUNDING) // amount) for name, amount in worker.items() if amount)
