"""Every network that the papers' tables name or the authors published, by name; it knows no task and reads no file.

A name follows the paper's own label. ``wavemix_192_16_l3`` has dim 192, 16 blocks and 3 levels; ``lite`` stands for one
level. Then comes what sets a network apart from others with the same label, and nothing else:

    ff512, m3    channels before the transposed convolution, width of the hidden layer (dim and 2 elsewhere)
    only         the deepest level alone
    strided      strided stem, where the plain name has patches
    patches      the reverse
    db2, ...     another wavelet than Haar's, dots left out
    fourier, ... another mixer than the transform
    bilinear, .. another expansion than the transposed convolution
    seg          a segmenter

``wavemix_sr_x2`` and ``wavemix_sr_v2_x2`` carry the scale, ``wavepaint_3`` the number of modules; ``blind`` is the
network of 2024, which is not shown the mask. Dropout is the constructors' default: it is no part of an architecture.

Printed parameter counts stand beside the networks, and decided what the paper leaves open (`Entry.reading`). Where no
reading gives the printed number, `Result.mismatch` says so; the tests hold both to the truth.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Final

from torch import nn

from wavemix.models.zoo.ablations import ABLATIONS
from wavemix.models.zoo.classification import CLASSIFICATION
from wavemix.models.zoo.entry import Benchmark, Entry, Result, Weights
from wavemix.models.zoo.restoration import INPAINTING, SUPER_RESOLUTION
from wavemix.models.zoo.segmentation import SEGMENTATION

__all__ = ["FAMILIES", "ZOO", "Benchmark", "Entry", "Result", "Weights", "build_model", "find_entry", "list_models"]

FAMILIES: Final[Mapping[str, Mapping[str, Entry]]] = {
    "classification": CLASSIFICATION,
    "classification, ablations": ABLATIONS,
    "segmentation": SEGMENTATION,
    "super-resolution": SUPER_RESOLUTION,
    "inpainting": INPAINTING,
}

ZOO: Final[Mapping[str, Entry]] = {**CLASSIFICATION, **ABLATIONS, **SEGMENTATION, **SUPER_RESOLUTION, **INPAINTING}


def build_model(name: str, **overrides: Any) -> nn.Module:
    """A network of the zoo, with torch's default initialisation.

    ``build_model("wavemix_192_16_l3", num_classes=37)`` for one's own classes; for a file of published weights,
    ``build_model(name, **weights.overrides)``. Inside ``with torch.device("meta")`` nothing is allocated.

    Args:
        name: One of `list_models`.
        overrides: Constructor arguments that replace or complete the entry's.

    Raises:
        ValueError: If the name is unknown; the message has the nearest ones. Also what the constructor refuses.
    """
    model: nn.Module = find_entry(name).network(**overrides)
    return model


def list_models(pattern: str = "*") -> list[str]:
    """The names of the zoo in the order of the papers' tables, or those that match a shell pattern like ``*_seg``."""
    return [name for name in ZOO if fnmatchcase(name, pattern)]


def find_entry(name: str) -> Entry:
    """``ZOO[name]``, or the ValueError of `build_model`."""
    if name in ZOO:
        return ZOO[name]
    near = get_close_matches(name, ZOO, n=3)
    raise ValueError(
        f"no model is called {name!r}; " + (f"near it: {', '.join(near)}" if near else "list_models() names all")
    )
