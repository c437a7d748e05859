"""params.yaml: its schema and its reader."""

from wavemix.config.load import changed_experiment, load_params, to_yaml, with_leaf
from wavemix.config.schema import (
    Classification,
    Experiment,
    Launch,
    Params,
    Phase,
    Recipe,
    Sweep,
    Task,
)

__all__ = [
    "Classification",
    "Experiment",
    "Launch",
    "Params",
    "Phase",
    "Recipe",
    "Sweep",
    "Task",
    "changed_experiment",
    "load_params",
    "to_yaml",
    "with_leaf",
]
