"""The problems that can be trained, by the name that params.yaml gives them."""

from collections.abc import Callable, Mapping

from wavemix.tasks import classification, inpainting, segmentation, super_resolution
from wavemix.tasks.base import Batch, Goal, Rendered, Task

TASKS: Mapping[str, Callable[..., Task]] = {
    "classification": classification.build,
    "inpainting": inpainting.build,
    "segmentation": segmentation.build,
    "super_resolution": super_resolution.build,
}

__all__ = ["TASKS", "Batch", "Goal", "Rendered", "Task"]
