"""What params.yaml may hold: names, types, ranges. It knows no torch, and builds nothing: tasks and launchers do.

Every class forbids unknown keys and is frozen. Fields without a default must be given; the important ones come first.
"""

from typing import Annotated, Any

from pydantic import Field

from wavemix.config.places import Launch, Storage, Tracking
from wavemix.config.recipe import Recipe
from wavemix.config.section import Name, PositiveInt, Prob, Section
from wavemix.config.sources import Source
from wavemix.config.sweeps import Sweep
from wavemix.config.tasks import Task
from wavemix.config.weights import Weights

# --- data: raw files -> shards ------------------------------------------------------------------------------------


class Data(Section):
    """One data set: where its raw files come from, what is done to them, and how they are cut into shards.

    ``shuffle_seed`` mixes the training samples before they are cut, so that no shard holds one class alone (null: the
    order of the source). ``check`` decodes every picture and rejects the broken ones; more than ``max_rejected`` of all
    samples is an error. Pictures are stored as published, but for those whose shorter side is above ``shortest_side``:
    these are resized, and become JPEG of ``jpeg_quality`` (null: PNG).
    """

    source: Source
    samples_per_shard: PositiveInt
    shuffle_seed: Annotated[int, Field(ge=0)] | None = 0
    check: bool = True
    max_rejected: Prob = 0.001
    shortest_side: PositiveInt | None = None
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] | None = 95


# --- experiments: shards -> trained model -----------------------------------------------------------------------


class Printed(Section):
    """A number that a paper prints for an experiment, to be shown beside ours; it decides nothing.

    ``score`` is as printed: in per cent or dB. What compares with it here is ``metric`` (null: the task's goal) on
    ``data``, one of ``scored_on`` (null: the experiment's own data). ``note`` says how the paper scored, or what it
    leaves open, where that is not what stands here.
    """

    where: str
    score: float | None = None
    metric: str | None = None
    data: str | None = None
    parameters: str = ""
    note: str = ""


class Experiment(Section):
    """One result: a task trained on a data set by a recipe, from ``weights`` or from scratch (null).

    The model is scored on the split test of its own data (else val), and on that of every data set in ``scored_on``.
    """

    data: Name
    task: Task
    recipe: Recipe
    seed: Annotated[int, Field(ge=0)] = 0
    weights: Weights | None = None
    scored_on: tuple[Name, ...] = ()
    paper: tuple[Printed, ...] = ()


# --- the whole ----------------------------------------------------------------------------------------------------


class ActiveSweep(Section):
    """What dvc.yaml must know of a sweep."""

    experiment: Name
    data: Name


class Active(Section):
    """What a bare ``dvc repro`` runs: data sets, experiments (each with its data set) and sweeps by name.

    The data sets stand in the experiments already; they are repeated because dvc.yaml cannot look them up there.
    """

    data: tuple[Name, ...]
    experiments: dict[Name, Name]
    sweeps: dict[Name, ActiveSweep]


class Params(Section):
    """params.yaml as a whole.

    ``templates`` are pieces that experiments take over by YAML's ``<<: *name``; nothing reads them there.
    """

    active: Active
    data: dict[Name, Data]
    templates: dict[Name, Any] = Field(default_factory=dict)
    experiments: dict[Name, Experiment]
    sweeps: dict[Name, Sweep]
    launch: Launch
    tracking: Tracking
    storage: Storage
