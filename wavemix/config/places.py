"""The sections ``launch``, ``tracking`` and ``storage``: where and how stages run. No part of a result's identity.

It starts nothing and connects to nothing.
"""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from wavemix.config.section import NonNegativeFloat, PositiveFloat, PositiveInt, Section


class Elastic(Section):
    """A number of workers that may change: as many as there is room for, and no fewer than ``min``."""

    min: PositiveInt
    max: PositiveInt

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError("min not above max")
        return self


def _number_or_bounds(workers: object) -> str:
    """So that a mistake is told once, not for both forms."""
    return "bounds" if isinstance(workers, dict | Elastic) else "number"


Workers = Annotated[
    Annotated[PositiveInt, Tag("number")] | Annotated[Elastic, Tag("bounds")], Discriminator(_number_or_bounds)
]


class Launch(Section):
    """Which processes train, and which write shards.

    ``address`` is that of a Ray cluster; null starts a Ray on this machine for training, and writes shards in
    ``prepare_workers`` plain processes (null: as many as there are cores). ``jobs`` is the address of a cluster's job
    server (``http://head:8265``), to which the stages train, tune and evaluate are sent where Ray is the launcher.

    ``num_workers``: a number, or ``{min, max}``; each worker has so many ``cpus_per_worker``, a GPU or none, so much
        ``memory_gb_per_worker`` (null: Ray does not count it), and ``resources_per_worker`` of the cluster's own kinds.
    ``placement``: ``pack`` workers on few nodes, or ``spread`` them.
    ``network_interface``: over which workers exchange gradients (null: the one that torch finds).
    ``max_failures``: how often a failed training is started again without a new checkpoint in between;
        ``max_preemptions``: how often after a node was taken away with notice (null: always).
    ``checkpoint_every_minutes``: beside the checkpoints that the recipe asks for (null: these alone).
        ``keep_checkpoints``: so many of the newest are kept, and the best.
    ``hang_seconds``: a process without a sign of life for so long ends itself, and counts as failed.
    """

    launcher: Literal["ray", "local"]
    num_workers: Workers
    cpus_per_worker: PositiveInt = 1
    gpus_per_worker: Annotated[int, Field(ge=0, le=1)] = 0
    memory_gb_per_worker: PositiveFloat | None = None
    resources_per_worker: dict[str, PositiveFloat] = Field(default_factory=dict)
    placement: Literal["pack", "spread"] = "pack"
    network_interface: str | None = None
    loader_workers: Annotated[int, Field(ge=0)] = 0
    prepare_workers: PositiveInt | None = None
    max_failures: Annotated[int, Field(ge=0)] = 3
    max_preemptions: Annotated[int, Field(ge=0)] | None = None
    checkpoint_every_minutes: PositiveFloat | None = 10.0
    keep_checkpoints: Annotated[int, Field(ge=2)] = 2
    hang_seconds: PositiveFloat = 600.0
    address: str | None = None
    jobs: str | None = None

    @property
    def fewest_workers(self) -> int:
        return self.num_workers if isinstance(self.num_workers, int) else self.num_workers.min

    @property
    def most_workers(self) -> int:
        return self.num_workers if isinstance(self.num_workers, int) else self.num_workers.max


class Tracking(Section):
    """Where numbers are shown. ``mlflow_uri: null`` keeps them in the run's own files alone.

    ``cpu_watts`` is what a node's processors draw at full load, for an estimate of energy where they have no meter that
    can be read (null: no estimate). With a ``price_per_kwh``, or a ``price_per_node_hour``, a run has a cost.
    """

    mlflow_uri: str | None
    mlflow_experiment: str = "wavemix"
    system_every_seconds: PositiveFloat = 5.0
    cpu_watts: PositiveFloat | None = None
    price_per_kwh: NonNegativeFloat | None = None
    price_per_node_hour: NonNegativeFloat | None = None


class Storage(Section):
    """Folders of this machine or of a file system that every node shares.

    ``remote`` is a second place for what must outlive a machine, a folder or ``s3://bucket/prefix``: checkpoints are
    copied there while training goes on, and jobs leave their outputs there (null: none).
    """

    shards: str
    runs: str
    results: str
    reports: str
    remote: str | None = None
