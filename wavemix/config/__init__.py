"""params.yaml: its schema and its reader."""

from wavemix.config.load import changed_experiment, load_params, to_yaml, with_leaf
from wavemix.config.schema import (
    Classification,
    Data,
    Experiment,
    Launch,
    Params,
    Phase,
    Recipe,
    Source,
    Sweep,
    Task,
    Tracking,
)

__all__ = [
    "Classification",
    "Data",
    "Experiment",
    "Launch",
    "Params",
    "Phase",
    "Recipe",
    "Source",
    "Sweep",
    "Task",
    "Tracking",
    "changed_experiment",
    "load_params",
    "to_yaml",
    "with_leaf",
]
