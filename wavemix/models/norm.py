"""Decides how batch normalisation sums on a CPU; does not know what it normalises.

Shapes: n = batch, c = channels, h, w = height, width, p = positions in some of the maps.
"""

# With the channels last in memory, torch 2.13 adds up the values of a channel one after another in single precision:
# the mean of 25,000 values is off by 4e-6 of itself, 60 times as much as with the channels first, and a normalised map
# whose mean is large beside its deviation by up to 1e-4; sums of gradients likewise. `Tensor.sum` adds in pairs.

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class BatchNorm2d(nn.BatchNorm2d):
    """``nn.BatchNorm2d``, as exact with the channels last as with the channels first."""

    def forward(self, x_nchw: Tensor) -> Tensor:
        """See ``nn.BatchNorm2d``."""
        inexact = (
            self.training
            and x_nchw.device.type == "cpu"
            and x_nchw.dtype == torch.float32
            and not x_nchw.is_contiguous()
            and x_nchw.is_contiguous(memory_format=torch.channels_last)
            and not torch.compiler.is_compiling()
        )
        if not inexact:
            return super().forward(x_nchw)
        y_nchw, mean_c, var_c = _Normalise.apply(x_nchw, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        self._count(mean_c, var_c, _num_values(x_nchw))
        normalised: Tensor = y_nchw
        return normalised

    @torch.no_grad()
    def _count(self, mean_c: Tensor, var_c: Tensor, num_values: int) -> None:
        """Take the statistics of a batch into the running ones, as ``nn.BatchNorm2d`` does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean_c, self.momentum)
        self.running_var.lerp_(var_c * (num_values / max(num_values - 1, 1)), self.momentum)


class _Normalise(torch.autograd.Function):
    """``(x - mean) / sqrt(var + eps) * weight + bias`` with the mean and the variance of x."""

    @staticmethod
    def forward(x_nchw: Tensor, weight_c: Tensor, bias_c: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        mean_c = x_nchw.mean((0, 2, 3))
        # In pieces, here and below: what lies between the steps stays in the cache.
        squares = [(piece_pc - mean_c).square_().sum(0) for piece_pc in _pieces(x_nchw)]
        var_c = torch.stack(squares).sum(0) / _num_values(x_nchw)
        y_nchw = torch.ops.aten.native_batch_norm(x_nchw, weight_c, bias_c, mean_c, var_c, False, 0.0, eps)[0]
        return y_nchw, mean_c, var_c

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        x_nchw, weight_c, _, eps = inputs
        _, mean_c, var_c = output
        ctx.mark_non_differentiable(mean_c, var_c)
        ctx.save_for_backward(x_nchw, weight_c, mean_c, (var_c + eps).rsqrt())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x_nchw, weight_c, mean_c, inverse_c = ctx.saved_tensors
        dy_nchw = gradients[0].contiguous(memory_format=torch.channels_last)
        dx_nchw = torch.empty_like(x_nchw)
        pieces = list(zip(_pieces(x_nchw), _pieces(dy_nchw), _pieces(dx_nchw), strict=True))
        sums = [(dy_pc.sum(0), (x_pc - mean_c).mul_(dy_pc).sum(0)) for x_pc, dy_pc, _ in pieces]
        dbias_c, product_c = (torch.stack(parts).sum(0) for parts in zip(*sums, strict=True))
        scale_c, num_values = weight_c * inverse_c, _num_values(x_nchw)
        slope_c = scale_c * inverse_c.square() * product_c / num_values
        shift_c = scale_c * dbias_c / num_values
        for x_pc, dy_pc, dx_pc in pieces:
            torch.mul(dy_pc, scale_c, out=dx_pc).sub_(shift_c).sub_((x_pc - mean_c).mul_(slope_c))
        return dx_nchw, product_c * inverse_c, dbias_c, None


def _pieces(x_nchw: Tensor) -> tuple[Tensor, ...]:
    """Views of a map with the channels last, of about four megabytes each."""
    x_pc = x_nchw.permute(0, 2, 3, 1).flatten(0, 2)
    return x_pc.split(-(-(2**20) // x_pc.shape[1]))  # type: ignore[no-untyped-call,no-any-return]


def _num_values(x_nchw: Tensor) -> int:
    return x_nchw.numel() // x_nchw.shape[1]
