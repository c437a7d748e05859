"""Decides what a feed-forward network keeps for its backward pass: its input, and of dropout a seed.

Shapes: b = batch, m = hidden channels, f = channels in between, o = channels out, u, v = sides before, h, w
= sides after the transposed convolution.
"""

# GELU, dropout, a 1x1 convolution and the transposed one behind it keep three maps of the hidden width and one of f
# channels when autograd is left to itself. The others are cheap to make again from the first of them. Under
# torch.compile the partitioner decides such things by itself.

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def gelu_dropout_conv(
    x_bmuv: Tensor, dropout: nn.Dropout, conv: nn.Conv2d, deconv: nn.ConvTranspose2d | None = None
) -> Tensor:
    """``deconv(conv(dropout(gelu(x))))``, with less kept for the backward pass.

    Dropout draws one number, a seed, from torch's generator for the CPU, and its mask from that seed on x's device.

    Args:
        x_bmuv: Hidden map before the activation, any float dtype, device and dense memory format.
        dropout: Its probability and its mode.
        conv: 1x1 convolution with a bias.
        deconv: Transposed convolution with a bias, no groups, dilation or output padding; or None for none.

    Returns:
        ``[b, f, u, v]``, or ``[b, o, h, w]`` with a transposed convolution.
    """
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        plain: Tensor = conv(dropout(F.gelu(x_bmuv)))
        return plain if deconv is None else deconv(plain)
    if deconv is None:
        return _lean(x_bmuv, dropout, [conv.weight, conv.bias, None, None])
    weights = [conv.weight, conv.bias, deconv.weight, deconv.bias]
    return _lean(x_bmuv, dropout, weights, deconv.stride[0], int(deconv.padding[0]))


def gelu_dropout_deconv(x_bmuv: Tensor, dropout: nn.Dropout, weight_mo44: Tensor) -> Tensor:
    """The same with a transposed convolution alone: kernel 4, stride 2, padding 1, no bias.

    Args:
        x_bmuv: Hidden map before the activation, any float dtype, device and dense memory format.
        dropout: Its probability and its mode.
        weight_mo44: Weight of the transposed convolution.

    Returns:
        ``[b, o, 2u, 2v]``.
    """
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return F.conv_transpose2d(dropout(F.gelu(x_bmuv)), weight_mo44, None, stride=2, padding=1)
    return _lean(x_bmuv, dropout, [None, None, weight_mo44, None], stride=2, padding=1)


def _lean(
    x_bmuv: Tensor, dropout: nn.Dropout, weights: list[Tensor | None], stride: int = 1, padding: int = 0
) -> Tensor:
    """`_Lean` with a seed where dropout drops, in the dtype of x."""
    first, *others = [None if weight is None else weight.to(x_bmuv.dtype) for weight in weights]
    seed = None
    if dropout.training and dropout.p > 0:
        seed = int(torch.empty((), dtype=torch.int64, device="cpu").random_())
        # The factor goes to the weight that reads the hidden map, instead of a pass over that map.
        scale = keep_scale(dropout.p)
        if first is not None:
            first = first * scale
        elif others[1] is not None:
            others[1] = others[1] * scale
    with torch.autocast(x_bmuv.device.type, enabled=False):
        lean: Tensor = _Lean.apply(  # type: ignore[no-untyped-call]
            x_bmuv, first, *others, dropout.p, seed, stride, padding
        )
    return lean


def keep_mask(like_bmuv: Tensor, drop_prob: float, seed: int) -> Tensor:
    """Which values dropout keeps: True with probability ``1 - drop_prob``, rounded to a multiple of 2**-16.

    On a CPU, torch draws one number of a serial generator for each value, which was 17 % of a training step of a block
    of WaveMix-Lite-128/8; here four values share one 64-bit number, 13 times as fast.

    Args:
        like_bmuv: Gives shape, device and memory format.
        drop_prob: Probability of dropping a value, in [0, 1].
        seed: Decides the mask, together with its format and kind of device.
    """
    generator = torch.Generator(like_bmuv.device).manual_seed(seed)
    if like_bmuv.device.type != "cpu":
        keep_prob = _num_kept(drop_prob) / 2**16  # the same everywhere, since `keep_scale` belongs to it
        return torch.empty_like(like_bmuv, dtype=torch.bool).bernoulli_(keep_prob, generator=generator)
    count = like_bmuv.numel()
    draws = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    keep = draws.view(torch.int16)[:count].to(torch.int32) < _num_kept(drop_prob) - 2**15
    return keep.as_strided(like_bmuv.size(), like_bmuv.stride())


def keep_scale(drop_prob: float) -> float:
    """The factor for kept values that keeps their expected sum: at least 1, or 0 if none is kept."""
    num_kept = _num_kept(drop_prob)
    return 2**16 / num_kept if num_kept else 0.0


def _num_kept(drop_prob: float) -> int:
    """Of the 2**16 values that a draw has."""
    return round((1 - drop_prob) * 2**16)


class _Lean(torch.autograd.Function):
    """GELU, a mask, a 1x1 convolution and a transposed one; the backward pass makes again what stood between them.

    One of the two convolutions may be absent (None).
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x_bmuv: Tensor,
        weight_fm11: Tensor | None,
        bias_f: Tensor | None,
        weight_fohw: Tensor | None,
        bias_o: Tensor | None,
        drop_prob: float,
        seed: int | None,
        stride: int,
        padding: int,
    ) -> Tensor:
        y_bfuv = _hidden(x_bmuv, drop_prob, seed)[0]
        if weight_fm11 is not None:
            y_bfuv = F.conv2d(y_bfuv, weight_fm11, bias_f)
        if weight_fohw is not None:
            y_bfuv = F.conv_transpose2d(y_bfuv, weight_fohw, bias_o, stride, padding)
        return y_bfuv

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        x_bmuv, weight_fm11, bias_f, weight_fohw, _, ctx.drop_prob, ctx.seed, ctx.stride, ctx.padding = inputs
        # Without the second convolution, nothing needs what the first one returned, nor its bias.
        ctx.save_for_backward(x_bmuv, weight_fm11, None if weight_fohw is None else bias_f, weight_fohw)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x_bmuv, weight_fm11, bias_f, weight_fohw = ctx.saved_tensors
        needs_x, needs_weight, needs_bias, needs_deconv, needs_deconv_bias = ctx.needs_input_grad[:5]
        hidden_bmuv, keep_bmuv = _hidden(x_bmuv, ctx.drop_prob, ctx.seed)
        gradient: Tensor | None = gradients[0]
        dx = dweight = dbias = ddeconv = ddeconv_bias = None
        # The gradient of a bias is a sum. Left to the convolution's backward pass it takes ten times as long on a CPU.
        if weight_fohw is not None:
            ddeconv_bias = gradients[0].sum((0, 2, 3)) if needs_deconv_bias else None
            gradient, ddeconv, _ = torch.ops.aten.convolution_backward(
                gradients[0],
                hidden_bmuv if weight_fm11 is None else F.conv2d(hidden_bmuv, weight_fm11, bias_f),
                weight_fohw,
                None,
                [ctx.stride] * 2,
                [ctx.padding] * 2,
                [1, 1],
                True,  # transposed
                [0, 0],
                1,
                [needs_x or needs_weight or needs_bias, needs_deconv, False],
            )
        if gradient is not None and weight_fm11 is not None:
            dbias = gradient.sum((0, 2, 3)) if needs_bias else None
            gradient, dweight, _ = torch.ops.aten.convolution_backward(
                gradient,
                hidden_bmuv,
                weight_fm11,
                None,
                [1, 1],
                [0, 0],
                [1, 1],
                False,
                [0, 0],
                1,
                [needs_x, needs_weight, False],
            )
        if gradient is not None and needs_x:
            if keep_bmuv is not None:
                gradient = gradient.mul_(keep_bmuv)
            dx = torch.ops.aten.gelu_backward(gradient, x_bmuv)
        return dx, dweight, dbias, ddeconv, ddeconv_bias, None, None, None, None


def _hidden(x_bmuv: Tensor, drop_prob: float, seed: int | None) -> tuple[Tensor, Tensor | None]:
    """What the 1x1 convolution reads, and the mask in it."""
    hidden_bmuv = F.gelu(x_bmuv)
    if seed is None:
        return hidden_bmuv, None
    keep_bmuv = keep_mask(hidden_bmuv, drop_prob, seed)
    return hidden_bmuv.mul_(keep_bmuv), keep_bmuv
