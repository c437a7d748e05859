"""The Haar transform and the block that stands on it, beside pytorch_wavelets (the transform the authors' code copies).

Both sides return the same tensor, [b, 4c, h/2, w/2], whose equality is checked before the clock starts.
"""

import warnings
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from benchmarks._harness import Row, compared, interleaved, publish
from wavemix.models import WaveMixBlock, haar_dwt

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its use of pkg_resources
    from pytorch_wavelets import DWTForward

NUM_THREADS = 2
TRANSFORM_SIZES = [(16, 64, 56, 56), (128, 36, 32, 32), (32, 16, 8, 8)]
BLOCK_SIZES = [(8, 64, 64, 64), (16, 32, 32, 32)]
LEVELS = 4


def main() -> None:
    """Measure, print and write ``results/haar.json``."""
    torch.set_num_threads(NUM_THREADS)
    torch.manual_seed(0)
    rows = [row for size in TRANSFORM_SIZES for row in transform_rows(size)]
    rows += [block_row(size) for size in BLOCK_SIZES]
    publish("haar", rows)


def transform_rows(size: tuple[int, ...]) -> list[Row]:
    """Forward without gradients, and forward and backward, of one level."""
    peer = Peer(levels=1)
    x_bchw = torch.randn(size)
    torch.testing.assert_close(haar_dwt(x_bchw), peer(x_bchw))
    rounds = 30 if x_bchw.numel() > 1e6 else 300

    with torch.no_grad():
        forward = interleaved({"ours": lambda: haar_dwt(x_bchw), "peer": lambda: peer(x_bchw)}, rounds)
    step = interleaved(steps({"ours": haar_dwt, "peer": peer}, x_bchw), rounds)
    name = "transform " + "x".join(map(str, size))
    return [in_milliseconds(f"{name} forward", forward, 1.5), in_milliseconds(f"{name} forward+backward", step, 1.5)]


def block_row(size: tuple[int, ...]) -> Row:
    """Forward and backward of a block, its levels computed once or anew for each level as in the authors' package."""
    block = WaveMixBlock(size[1], levels=LEVELS)
    peers = [Peer(levels=level) for level in range(1, LEVELS + 1)]
    x_bdhw = torch.randn(size)

    def recomputing(x_bdhw: Tensor) -> Tensor:
        reduced = block.reduce(x_bdhw)
        bands = [peer(reduced) for peer in peers]
        mixed = block.feedforwards[-1](bands[-1])
        for level in reversed(range(LEVELS - 1)):
            mixed = block.feedforwards[level](torch.cat((bands[level], mixed), dim=1))
        return mixed

    torch.testing.assert_close(block(x_bdhw), recomputing(x_bdhw), atol=1e-4, rtol=1e-4)
    step = interleaved(steps({"ours": block, "peer": recomputing}, x_bdhw), rounds=25)
    return in_milliseconds(f"block of {LEVELS} levels {'x'.join(map(str, size))} forward+backward", step, 1.1)


class Peer(nn.Module):
    """The sub-bands of the deepest of some levels, by pytorch_wavelets, in the channel order of `haar_dwt`."""

    def __init__(self, levels: int) -> None:
        """Make the filters of the peer."""
        super().__init__()
        self.transform = DWTForward(J=levels, wave="db1", mode="zero")

    def forward(self, x_bchw: Tensor) -> Tensor:
        """``[b, c, h, w]`` to ``[b, 4c, h / 2**levels, w / 2**levels]``."""
        ll, details = self.transform(x_bchw)
        return torch.cat((ll, details[-1].flatten(1, 2)), dim=1)


def steps(functions: Mapping[str, Callable[[Tensor], Tensor]], x_bchw: Tensor) -> dict[str, Callable[[], object]]:
    """Forward and backward of each function, its gradients into fresh tensors."""
    upstream = torch.randn_like(next(iter(functions.values()))(x_bchw))

    def step(function: Callable[[Tensor], Tensor]) -> None:
        if isinstance(function, nn.Module):
            function.zero_grad()
        function(x_bchw.detach().requires_grad_()).backward(upstream)

    return {name: lambda function=function: step(function) for name, function in functions.items()}


def in_milliseconds(name: str, seconds: Mapping[str, float], goal: float) -> Row:
    """The row of two medians."""
    return compared(name, 1e3 * seconds["ours"], "ms", 1e3 * seconds["peer"], goal=goal)


if __name__ == "__main__":
    main()
