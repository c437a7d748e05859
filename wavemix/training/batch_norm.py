"""Batch normalisation over the global batch, so that a result does not depend on the number of workers.

torch's own SyncBatchNorm serves GPUs alone; this one serves the CPU with the same arithmetic. It knows no model.

Shapes: n = samples of this rank, c = channels, h, w = height, width.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from wavemix.training.clock import Clock

PLACES = (0, 2, 3)  # all axes but the channels


class _Normalise(torch.autograd.Function):
    """``(x - mean) / sqrt(var + eps) * weight + bias`` with the mean and variance of all ranks' samples.

    One exchange forward (count, sum, sum of squares) and one backward (the two sums through which every output
    depends on every input). Gradients of weight and bias are this rank's own: DDP sums them. Half precision comes in
    and goes out as such, and is computed in single, as in torch.
    """

    @staticmethod
    def forward(
        ctx: Any, x_nchw: Tensor, weight_c: Tensor, bias_c: Tensor, eps: float, clock: Clock
    ) -> tuple[Tensor, ...]:
        dtype, x_nchw = x_nchw.dtype, x_nchw.to(torch.promote_types(x_nchw.dtype, torch.float32))
        mean_c = x_nchw.mean(PLACES)
        var_c = (x_nchw - _at(mean_c)).square_().mean(PLACES)
        # Sums in double precision: mean of squares minus square of mean cancels in single.
        mean_c, var_c = mean_c.double(), var_c.double()
        count = mean_c.new_tensor([x_nchw.numel() / x_nchw.shape[1]])
        sums = torch.cat([mean_c * count, (var_c + mean_c**2) * count, count])
        with clock.on("communication"):
            dist.all_reduce(sums)
        total = sums[-1]
        mean_c, square_c = (sums[:-1] / total).chunk(2)
        var_c = square_c - mean_c**2
        inverse_c = (var_c + eps).rsqrt().to(x_nchw.dtype)
        normal_nchw = (x_nchw - _at(mean_c.to(x_nchw.dtype))).mul_(_at(inverse_c))
        ctx.clock = clock
        ctx.save_for_backward(normal_nchw, weight_c, inverse_c, total)
        ctx.mark_non_differentiable(mean_c, var_c, total)
        y_nchw = torch.addcmul(_at(bias_c), normal_nchw, _at(weight_c)).to(dtype)
        return y_nchw, mean_c, var_c, total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        normal_nchw, weight_c, inverse_c, total = ctx.saved_tensors
        dy_nchw = gradients[0].contiguous().to(normal_nchw.dtype)
        dbias_c = dy_nchw.sum(PLACES)
        dweight_c = (dy_nchw * normal_nchw).sum(PLACES)
        sums = torch.cat([dbias_c, dweight_c]).double()
        with ctx.clock.on("communication"):
            dist.all_reduce(sums)
        mean_dy_c, mean_dy_normal_c = (sums / total).to(dy_nchw.dtype).chunk(2)
        dx_nchw = (dy_nchw - _at(mean_dy_c)).addcmul_(normal_nchw, _at(mean_dy_normal_c), value=-1)
        return dx_nchw.mul_(_at(weight_c * inverse_c)), dweight_c, dbias_c, None, None


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """``nn.BatchNorm2d`` whose training statistics are those of all ranks together, weighted by their samples.

    Same parameters, buffers and state-dict keys; the ranks may hold batches of different sizes. ``clock`` counts the
    time of the exchange.
    """

    def __init__(self, num_features: int, clock: Clock, **options: Any) -> None:
        super().__init__(num_features, **options)
        self.clock = clock

    def forward(self, x_nchw: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x_nchw)
        y_nchw, mean_c, var_c, total = _Normalise.apply(  # type: ignore[no-untyped-call]
            x_nchw, self.weight, self.bias, self.eps, self.clock
        )
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        unbiased_c = var_c * total / (total - 1).clamp(min=1)
        self.running_mean.lerp_(mean_c.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(unbiased_c.to(self.running_var.dtype), self.momentum)
        normalised: Tensor = y_nchw
        return normalised


def _at(value_c: Tensor) -> Tensor:
    return value_c[:, None, None]


def synchronised(model: nn.Module, device: torch.device, clock: Clock) -> nn.Module:
    """The same model with every batch normalisation over all ranks; parameters and buffers are shared, not copied."""
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return converted
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d) and not isinstance(child, GlobalBatchNorm2d):
                twin = GlobalBatchNorm2d(child.num_features, clock, eps=child.eps, momentum=child.momentum)
                twin.weight, twin.bias = child.weight, child.bias
                twin.running_mean, twin.running_var = child.running_mean, child.running_var
                twin.num_batches_tracked = child.num_batches_tracked
                setattr(module, name, twin.train(child.training))
    return model
