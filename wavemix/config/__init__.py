"""params.yaml: its schema and its reader."""

from wavemix.config.load import changed_experiment, check_sweep, load_params, to_yaml, with_leaf
from wavemix.config.places import Elastic, Launch, Tracking
from wavemix.config.recipe import Phase, Recipe
from wavemix.config.schema import Experiment, Params, Printed
from wavemix.config.sweeps import Asha, Pbt, Sweep
from wavemix.config.tasks import Augment, Classification, Inpainting, Segmentation, SuperResolution, Task

__all__ = [
    "Asha",
    "Augment",
    "Classification",
    "Elastic",
    "Experiment",
    "Inpainting",
    "Launch",
    "Params",
    "Pbt",
    "Phase",
    "Printed",
    "Recipe",
    "Segmentation",
    "SuperResolution",
    "Sweep",
    "Task",
    "Tracking",
    "changed_experiment",
    "check_sweep",
    "load_params",
    "to_yaml",
    "with_leaf",
]
