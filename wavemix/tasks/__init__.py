"""The problems that can be trained, by the name that params.yaml gives them."""

from collections.abc import Callable, Mapping

from wavemix.tasks import classification
from wavemix.tasks.base import Batch, Goal, Rendered, Task

TASKS: Mapping[str, Callable[..., Task]] = {"classification": classification.build}

__all__ = ["TASKS", "Batch", "Goal", "Rendered", "Task"]
