"""Decides how timm's networks are made where torchvision does not import; does not know what they are for.

timm imports torchvision for its data pipeline and for one class that it compares layers with. Its networks need
neither, so that for the time of the import, empty classes can stand in.
"""

import importlib
import sys
from unittest.mock import MagicMock

from torch import nn

STAND_INS = (
    "torchvision",
    "torchvision.datasets",
    "torchvision.models",
    "torchvision.models.feature_extraction",
    "torchvision.ops",
    "torchvision.ops.misc",
    "torchvision.transforms",
    "torchvision.transforms.functional",
    "torchvision.utils",
)


def create_timm(name: str, num_classes: int = 1000) -> nn.Module:
    """A network of timm, with random weights.

    Raises:
        ImportError: If timm, or something else that it needs, is not installed.
    """
    model: nn.Module = _timm().create_model(name, num_classes=num_classes)
    return model


def _timm():
    if "timm" in sys.modules:
        return sys.modules["timm"]
    try:
        importlib.import_module("torchvision.ops.misc")
    except (ImportError, RuntimeError):  # not installed, or made for another torch
        found = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "torchvision"}
        for name in found:
            del sys.modules[name]
        stand_ins = {name: MagicMock(name=name) for name in STAND_INS}
        stand_ins["torchvision.ops.misc"].FrozenBatchNorm2d = type("FrozenBatchNorm2d", (nn.Module,), {})
        sys.modules.update(stand_ins)
        try:
            return importlib.import_module("timm")
        finally:
            for name in stand_ins:
                sys.modules.pop(name, None)
    return importlib.import_module("timm")
