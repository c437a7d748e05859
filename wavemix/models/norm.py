"""Decides how batch normalisation sums on a CPU; does not know what it normalises.

Shapes: n = batch, c = channels, h, w = height, width.
"""

# With the channels last in memory, torch 2.13 adds up the values of a channel one after another in single precision:
# the mean of 25,000 values is off by 4e-6 of itself, 60 times as much as with the channels first, and a normalised map
# whose mean is large beside its deviation by up to 1e-4. `Tensor.mean` adds in pairs: the statistics come from there.

from typing import Any

import torch
from torch import Tensor, nn

PLACES = (0, 2, 3)  # all axes but the channels


class BatchNorm2d(nn.BatchNorm2d):
    """``nn.BatchNorm2d``, as exact with the channels last as with the channels first."""

    def forward(self, x_nchw: Tensor) -> Tensor:
        """See ``nn.BatchNorm2d``."""
        inexact = (
            self.training
            and x_nchw.device.type == "cpu"
            and x_nchw.dtype == torch.float32
            and not x_nchw.is_contiguous()
            and not torch.compiler.is_compiling()
        )
        if not inexact:
            return super().forward(x_nchw)
        y_nchw, mean_c, var_c = _Normalise.apply(x_nchw, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        self._count(mean_c, var_c, x_nchw.numel() // x_nchw.shape[1])
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
        mean_c = x_nchw.mean(PLACES)
        # One sample at a time: what lies between stays in the cache.
        squares_nc = torch.stack([(x_chw - mean_c[:, None, None]).square_().mean((1, 2)) for x_chw in x_nchw.unbind()])
        var_c = squares_nc.mean(0)
        y_nchw = torch.ops.aten.native_batch_norm(x_nchw, weight_c, bias_c, mean_c, var_c, False, 0.0, eps)[0]
        return y_nchw, mean_c, var_c

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        x_nchw, weight_c, _, ctx.eps = inputs
        _, mean_c, var_c = output
        ctx.mark_non_differentiable(mean_c, var_c)
        ctx.save_for_backward(x_nchw, weight_c, mean_c, (var_c + ctx.eps).rsqrt())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x_nchw, weight_c, mean_c, inverse_c = ctx.saved_tensors
        dx_nchw, dweight_c, dbias_c = torch.ops.aten.native_batch_norm_backward(
            gradients[0], x_nchw, weight_c, None, None, mean_c, inverse_c, True, ctx.eps, ctx.needs_input_grad[:3]
        )
        return dx_nchw, dweight_c, dbias_c, None
