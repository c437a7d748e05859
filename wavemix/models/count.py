"""Decides how the size and the work of a network are counted; knows no particular network, and computes no value.

Everything runs on the meta device: shapes alone, so a network for 1024x2048 pixels is counted in no memory.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from wavemix.models.fuse import layer_by_layer


def count_parameters(model: nn.Module) -> int:
    """How many numbers the network learns; buffers, such as BatchNorm's running statistics, are not among them."""
    return sum(parameter.numel() for parameter in model.parameters())


def multiply_adds(model: nn.Module, *input_shapes: Sequence[int]) -> int:
    """Multiply-adds of all convolutions and matrix products in one forward pass, as the network executes them.

    Each weight of a convolution counts once per output position, of a transposed one once per input position, including
    positions where it meets padding. Biases, normalisation, interpolation, additions (Haar's transform) and Fourier
    transforms are not counted; other wavelets are convolutions, and are. The pass is that of evaluation.

    The networks here compute linear layers together where that is less work, and making their common kernel is counted
    too. What the layers need as the papers write them is the count of ``layer_by_layer(model)``.

    Args:
        model: Any network, on any device; it stays as it is.
        input_shapes: The shape of each argument of ``forward``, with the batch.

    Returns:
        The number for the whole batch.
    """
    return multiply_adds_by_module(model, *input_shapes)[""]


def multiply_adds_by_module(model: nn.Module, *input_shapes: Sequence[int]) -> dict[str, int]:
    """`multiply_adds` of every module that was called, by its name in the model; ``""`` is the model itself."""
    with FlopCounterMode(display=False) as counter:
        _forward(_on_meta(model), input_shapes)
    # It counts a multiplication and an addition as two, and begins names with the model's class, or with "Global".
    by_module = {
        name.partition(".")[2]: sum(by_operation.values()) // 2
        for name, by_operation in counter.get_flop_counts().items()
        if name != "Global"
    }
    return {**by_module, "": counter.get_total_flops() // 2}


def torchinfo_multiply_adds(model: nn.Module, *input_shapes: Sequence[int]) -> int:
    """What torchinfo calls ``total_mult_adds``, for comparison with papers that print it.

    Each parameter of a convolution, its bias too, counts once per output position; each parameter of any other layer,
    BatchNorm among them, once per image, whatever its size. A transposed convolution of stride 2 is counted fourfold,
    since its weights meet input positions: a quarter of the outputs.

    Args:
        model: A network of `wavemix.models`, on any device; it stays as it is. Its layers are called in turn.
        input_shapes: The shape of each argument of ``forward``, with the batch.

    Returns:
        The number for the whole batch.

    Source: torchinfo 1.8.0, ``LayerInfo.calculate_macs``. Deliberate difference: layers with weights under other names
    than ``weight`` and ``bias`` are not counted; there are none in the papers' networks.
    """
    total = 0

    def count(layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        nonlocal total
        num_parameters = sum(
            parameter.numel() for name, parameter in layer.named_parameters(recurse=False) if name in ("weight", "bias")
        )
        is_convolution = "Conv" in type(layer).__name__  # torchinfo's own criterion
        total += num_parameters * output.shape[0] * (math.prod(output.shape[2:]) if is_convolution else 1)

    in_turn = _on_meta(layer_by_layer(model))
    for module in in_turn.modules():
        if not any(True for _ in module.children()):
            module.register_forward_hook(count)
    _forward(in_turn, input_shapes)
    return total


def _on_meta(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model).to("meta").eval()


def _forward(model: nn.Module, input_shapes: Sequence[Sequence[int]]) -> None:
    dtype = next((parameter.dtype for parameter in model.parameters()), torch.float32)
    with torch.no_grad():
        model(*(torch.empty(tuple(shape), dtype=dtype, device="meta") for shape in input_shapes))
