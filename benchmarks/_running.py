"""Decides how a network is run, on a CPU or a GPU, and what else runs beside it; does not know which network."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

# No choice: the filters of the authors' package lie on a GPU if there is one.
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WARM_UP = 1 if DEVICE == "cpu" else 3  # calls before the clock starts: on a GPU, the first ones compile
MATMUL_SIDE = {"cpu": 2048, "cuda": 8192}  # large enough that more would not be faster
MATMUL = "matrix product"


def training_step(model: nn.Module, inputs: Sequence[Tensor], mixed: bool = False) -> Tensor:
    """Forward, the mean of squares as a loss, and backward into fresh gradients; returns the output."""
    model.zero_grad(set_to_none=True)
    with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=mixed):
        output: Tensor = model(*inputs)
    output.float().square().mean().backward()
    return output


def evaluated(model: nn.Module, inputs: Sequence[Tensor], mixed: bool = False) -> Tensor:
    """The output of a network in evaluation mode."""
    with torch.inference_mode(), torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=mixed):
        output: Tensor = model(*inputs)
    return output


def on_device(model: nn.Module) -> nn.Module:
    """Our network as it is run on this device, with the same weights."""
    if DEVICE == "cpu":
        return model
    compiled: nn.Module = torch.compile(model.to(memory_format=torch.channels_last))
    return compiled


def on_clock(calls: Mapping[str, Callable[[], object]]) -> dict[str, Callable[[], object]]:
    """Calls that return when the device is done."""

    def waiting(call: Callable[[], object]) -> None:
        call()
        torch.cuda.synchronize()

    if DEVICE == "cpu":
        return dict(calls)
    return {name: lambda call=call: waiting(call) for name, call in calls.items()}


def matrix_product() -> Callable[[], object]:
    """The call that multiplies two square matrices."""
    side, dtype = MATMUL_SIDE[DEVICE], torch.float32 if DEVICE == "cpu" else torch.bfloat16
    left, right = (torch.randn(side, side, device=DEVICE, dtype=dtype) for _ in range(2))
    return lambda: left @ right


def share(work: float, seconds: float, medians: Mapping[str, float]) -> float:
    """Multiply-adds a second, as a share of those of the matrix product in the same run."""
    return work / seconds / (MATMUL_SIDE[DEVICE] ** 3 / medians[MATMUL])
