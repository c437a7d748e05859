"""A running average of a model's weights (EMA), kept as a second model. It knows no optimizer and no loop."""

import copy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


def start_average(model: nn.Module) -> nn.Module:
    """A model of its own with the same weights, which no gradient reaches."""
    return copy.deepcopy(model).requires_grad_(False)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, *, decay: float, num_updates: int) -> None:
    """Move the average towards the model: ``average = d * average + (1 - d) * model``.

    All floating-point entries of the state dict are averaged, running statistics too; others (counts) are copied.
    ``d`` is ``decay``, but at most ``(1 + n) / (10 + n)``: an average of a short run would be its random first weights.

    Args:
        average: Changed in place.
        model: The model after an optimizer step.
        decay: In (0, 1).
        num_updates: n, the steps done before this one.

    Source: TensorFlow's ExponentialMovingAverage with ``num_updates``. timm, with another form of warm-up that is off
    unless asked for, and torch's swa_utils agree from where the limit reaches ``decay`` (for 0.9998: 45,000 steps).
    """
    ours, theirs = average.state_dict(), model.state_dict()
    floats = [name for name, tensor in theirs.items() if tensor.is_floating_point()]
    blend = get_ema_multi_avg_fn(min(decay, (1 + num_updates) / (10 + num_updates)))  # type: ignore[no-untyped-call]
    blend([ours[name] for name in floats], [theirs[name] for name in floats], num_updates)
    for name in theirs.keys() - set(floats):
        ours[name].copy_(theirs[name])
