"""What a network takes of given weights: everything that fits, a head only if it does, and nothing in silence."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from wavemix.errors import ConfigError
from wavemix.models import WaveMixClassifier, WaveMixSegmenter
from wavemix.training.weights import load_start, names_taken


def classifier(num_classes: int = 3, **changes: Any) -> WaveMixClassifier:
    return WaveMixClassifier(**{"num_classes": num_classes, "dim": 8, "depth": 2, "stride": 2, **changes})


def segmenter() -> WaveMixSegmenter:
    return WaveMixSegmenter(num_classes=3, dim=8, depth=2, levels=1)


def fresh_after(model: nn.Module, given: nn.Module, folder: Path) -> set[str]:
    """Load one network's weights into another; returns the names of those that stayed as they were drawn."""
    save_file(given.state_dict(), folder / "start.safetensors")
    drawn = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    load_start(model, folder / "start.safetensors")
    theirs, fresh = given.state_dict(), set()
    for name, tensor in model.state_dict().items():
        if name in theirs and torch.equal(tensor, theirs[name]):
            continue
        assert torch.equal(tensor, drawn[name])
        fresh.add(name)
    return fresh


@pytest.mark.parametrize(
    ("model", "given", "fresh"),
    [
        (classifier(), classifier(), set()),
        (classifier(5), classifier(3), {"head.weight", "head.bias"}),
        (classifier(head_dim=16), classifier(), {"final.weight", "final.bias", "head.weight", "head.bias"}),
        (classifier(), classifier(head_dim=16), {"head.weight", "head.bias"}),
        (segmenter(), classifier(), {f"decoder.{index}.{leaf}" for index in range(3) for leaf in ("weight", "bias")}),
        (classifier(), segmenter(), {"head.weight", "head.bias"}),
    ],
)
def test_all_but_the_layers_of_the_head_that_do_not_fit_is_taken(
    model: nn.Module, given: nn.Module, fresh: set[str], tmp_path: Path
) -> None:
    assert fresh_after(model, given, tmp_path) == fresh
    taken = names_taken(model.state_dict(), given.state_dict())
    assert set(model.state_dict()) - set(taken) == fresh


def without(weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {other: tensor for other, tensor in weights.items() if other != name}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            classifier(dim=16).state_dict(),
            "weights: blocks.0.reduce.weight has the shape [4, 16, 1, 1], the model wants [2, 8, 1, 1] (and ",
        ),
        (
            classifier(in_channels=1).state_dict(),
            "stem.convs.0.weight has the shape [4, 1, 3, 3], the model wants [4, 3",
        ),
        (classifier(depth=1).state_dict(), "weights: they have no blocks.1.reduce.weight, which the model wants"),
        (classifier(depth=3).state_dict(), "weights: blocks.2.reduce.weight has no place in the model"),
        (
            without(classifier().state_dict(), "stem.convs.1.bias"),
            "weights: they have no stem.convs.1.bias, which the model wants; give task.model the arguments",
        ),
        ({}, "weights: they have no "),
    ],
)
def test_anything_else_that_does_not_fit_is_named(given: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as raised:
        names_taken(classifier().state_dict(), given)
    assert len(str(raised.value).splitlines()) == 1
