"""What the zoo knows of a network: how it is built, what the papers print for it, where its weights are published."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any


@dataclass(frozen=True)
class Benchmark:
    """A data set as a paper used it: it decides the size of the images and the number of classes."""

    data: str
    inputs: tuple[tuple[int, int, int], ...]
    """Channels, height and width of each argument of ``forward``."""
    num_classes: int | None = None
    metric: str = "top-1 %"

    @property
    def arguments(self) -> dict[str, int]:
        """The constructor arguments that follow from the data; none where a network has no classes."""
        if self.num_classes is None:
            return {}
        return {"num_classes": self.num_classes, "in_channels": self.inputs[0][0]}

    @property
    def input_shapes(self) -> list[tuple[int, ...]]:
        """The shapes of a batch of one."""
        return [(1, *shape) for shape in self.inputs]


@dataclass(frozen=True)
class Result:
    """A row of a paper's table, or a place that defines the network without numbers."""

    where: str
    """``table 2``, ``section 4.6``, or a file in the authors' repository."""
    benchmark: Benchmark
    parameters: str = ""
    """As printed, like ``28.9 M`` or ``3,566``; empty where no count is printed."""
    score: float | None = None
    """As printed, in the benchmark's metric."""
    mismatch: str = ""
    """Only where ``parameters`` is not our count, neither rounded nor truncated: our exact count, and what is known."""


@dataclass(frozen=True)
class Weights:
    """A file of the authors. Nobody has vouched for its content: read it with ``weights_only=True``."""

    url: str
    benchmark: Benchmark
    score: float | None = None
    """As the authors give it in the file's name, on the data that also chose the checkpoint."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Constructor arguments that differ from the entry's."""
    note: str = ""
    sha256: str | None = None

    @property
    def overrides(self) -> dict[str, Any]:
        """For ``build_model(name, **overrides)``: the network that the file fits."""
        return {**self.benchmark.arguments, **self.arguments}


@dataclass(frozen=True)
class Entry:
    """One architecture, with all that is known of it. There is at least one result or file of weights."""

    network: partial[Any]  # of a module; partial is invariant, so its type can't say so
    """A class of `wavemix.models` with its constructor arguments."""
    results: tuple[Result, ...] = ()
    weights: tuple[Weights, ...] = ()
    reading: str = ""
    """How arguments were found that the paper does not state, or states otherwise."""

    @property
    def benchmark(self) -> Benchmark:
        """What stands for the entry where one input size is wanted: that of the first result, else of the weights."""
        return self.results[0].benchmark if self.results else self.weights[0].benchmark
