"""Ways to obtain processes; each gives every process a Runtime and lets ``training.run`` do the rest."""

from collections.abc import Mapping

from wavemix.launch import local, ray_train
from wavemix.launch.base import Launcher

LAUNCHERS: Mapping[str, Launcher] = {"local": local.launch, "ray": ray_train.launch}
