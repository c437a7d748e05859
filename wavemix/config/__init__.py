"""params.yaml: its schema and its reader."""

from wavemix.config.load import changed_experiment, load_params, to_yaml, with_leaf
from wavemix.config.recipe import Phase, Recipe
from wavemix.config.schema import Experiment, Launch, Params, Printed, Sweep
from wavemix.config.tasks import Augment, Classification, Inpainting, Segmentation, SuperResolution, Task

__all__ = [
    "Augment",
    "Classification",
    "Experiment",
    "Inpainting",
    "Launch",
    "Params",
    "Phase",
    "Printed",
    "Recipe",
    "Segmentation",
    "SuperResolution",
    "Sweep",
    "Task",
    "changed_experiment",
    "load_params",
    "to_yaml",
    "with_leaf",
]
