"""Decides how linear layers with nothing between them are computed as one; knows no network and holds no state.

Shapes: b = batch, c = channels, h, w = height, width; o, i, k = channels out of, into, and between layers.
"""

# A chain of convolutions without nonlinearity is one convolution, of a kernel that is made anew from the layers'
# weights in each step: tiny work, and differentiable, so parameters, gradients and state dict stay those of the layers.
# Only the zero padding between the layers is lost on the way: outputs that touch it are computed layer by layer.

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LinearChain(nn.Sequential):
    """Convolutions one after another, computed as fewer wherever that is less work; otherwise ``nn.Sequential``.

    Either all are ``nn.Conv2d`` (`convolve`), or the last is a 1x1 convolution behind transposed ones (`deconvolve`).
    """

    composes = True  # False: the layers in turn, as `wavemix.models.fuse.layer_by_layer` asks for

    def forward(self, x_bchw: Tensor) -> Tensor:
        """What the layers called in turn return, up to rounding."""
        *others, last = self
        if not self.composes:
            return in_turn(x_bchw, self)
        if isinstance(others[-1], nn.ConvTranspose2d):
            return deconvolve(in_turn(x_bchw, others[:-1]), others[-1], cast(nn.Conv2d, last))
        return convolve(x_bchw, self.convolutions())

    def convolutions(self) -> list[nn.Conv2d]:
        """The layers of a chain without transposed convolutions."""
        return cast(list[nn.Conv2d], list(self))


def convolve(x_bchw: Tensor, layers: Sequence[nn.Conv2d], composed: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Convolutions one after another, computed as one wherever that is less work.

    Equal to the layers called in turn, up to rounding, for every image size: along an edge where a layer behind the
    first one pads, strips of the image go through the layers themselves. On tiny images the strips would be more work
    than they save, and everything goes through the layers.

    Args:
        x_bchw: Images or feature maps, any float dtype, device and memory format.
        layers: Convolutions with a bias, square kernels, strides and zero paddings smaller than the kernel, no groups
            and no dilation.
        composed: What `compose` made of the layers, if their weights do not change any more.

    Returns:
        ``[b, o, u, v]``, what the last layer returns.
    """
    height, width = x_bchw.shape[2:]
    num_top, top_h, num_bottom, bottom_h = _strips(height, layers)
    num_left, left_w, num_right, right_w = _strips(width, layers)
    strips = [(top_h, width), (bottom_h, width), (height, left_w), (height, right_w)]
    saved = work_in_turn(layers, height, width) - work_composed(layers, height, width)
    if saved <= sum(work_in_turn(layers, *strip) for strip in strips):
        return in_turn(x_bchw, layers)

    weight_oihw, bias_o = compose(layers) if composed is None else composed
    rows, columns = _num_outputs(height, layers), _num_outputs(width, layers)
    if not any(num for num in (num_top, num_bottom, num_left, num_right)):
        return _convolve(x_bchw, weight_oihw, bias_o, layers)
    # Padded or cropped so that the composed convolution returns what lies within the edges, and nothing to cut away.
    kernel, stride, padding = _geometry(layers)
    within = (
        padding - num_left * stride,
        (columns - num_right - 1) * stride - padding + kernel - width,
        padding - num_top * stride,
        (rows - num_bottom - 1) * stride - padding + kernel - height,
    )
    row = [F.conv2d(F.pad(x_bchw, within), weight_oihw, bias_o, stride)]
    inner = slice(num_top, rows - num_bottom)
    if num_left:
        row.insert(0, in_turn(x_bchw[..., :left_w], layers)[:, :, inner, :num_left])
    if num_right:
        row.append(in_turn(x_bchw[..., -right_w:], layers)[:, :, inner, -num_right:])
    column = [torch.cat(row, dim=3) if len(row) > 1 else row[0]]
    if num_top:
        column.insert(0, in_turn(x_bchw[:, :, :top_h], layers)[:, :, :num_top])
    if num_bottom:
        column.append(in_turn(x_bchw[:, :, -bottom_h:], layers)[:, :, -num_bottom:])
    return torch.cat(column, dim=2) if len(column) > 1 else column[0]


def deconvolve(x_bchw: Tensor, deconv: nn.ConvTranspose2d, pointwise: nn.Conv2d) -> Tensor:
    """A transposed convolution and a 1x1 convolution behind it, computed as one wherever that is less work.

    Args:
        x_bchw: Feature map, any float dtype, device and memory format.
        deconv: Transposed convolution with a bias, no groups, dilation or output padding.
        pointwise: 1x1 convolution with a bias.

    Returns:
        ``[b, o, u, v]``, what the 1x1 convolution returns; equal at the border too, where nothing is padded.
    """
    if not deconvolution_pays(deconv, pointwise):
        result: Tensor = pointwise(deconv(x_bchw))
        return result
    weight_iohw, bias_o = compose_deconvolution(deconv, pointwise)
    return F.conv_transpose2d(x_bchw, weight_iohw, bias_o, deconv.stride, cast(tuple[int, int], deconv.padding))


def compose_deconvolution(deconv: nn.ConvTranspose2d, pointwise: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Weight ``[i, o, p, p]`` and bias ``[o]`` of the transposed convolution that does the work of both."""
    assert deconv.bias is not None
    assert pointwise.bias is not None
    weight_ok = pointwise.weight.flatten(1)
    weight_iohw = torch.einsum("ikhw,ok->iohw", deconv.weight, weight_ok)
    return weight_iohw, weight_ok @ deconv.bias + pointwise.bias


def deconvolution_pays(deconv: nn.ConvTranspose2d, pointwise: nn.Conv2d) -> bool:
    """Whether one transposed convolution is less work than a transposed and a 1x1 convolution."""
    num_in, num_between, *kernel = deconv.weight.shape
    num_out = pointwise.out_channels
    taps = kernel[0] * kernel[1] // (deconv.stride[0] * deconv.stride[1])  # of the kernel, that meet in one output
    return taps * num_in * num_out < taps * num_in * num_between + num_between * num_out


def compose_shuffle(pointwise: nn.Conv2d, conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """A 1x1 convolution, a pixel shuffle by 2 and a 3x3 convolution as one transposed convolution.

    The shuffle turns the 1x1 convolution into a transposed one of kernel 2 and stride 2; the 3x3 convolution spreads
    its kernel to 4x4. Where the 3x3 convolution pads, that one meets nothing: only the bias differs at the edges.

    Args:
        pointwise: 1x1 convolution from m to 4c channels, with a bias.
        conv: 3x3 convolution from c to o channels, padding 1, with a bias.

    Returns:
        Weight ``[m, o, 4, 4]``, for stride 2 and padding 1, and the bias as `spread_bias` takes it.
    """
    assert pointwise.bias is not None
    weight_mc22 = pointwise.weight.view(conv.in_channels, 2, 2, -1).permute(3, 0, 1, 2)
    bias_1c44 = pointwise.bias.view(1, conv.in_channels, 2, 2).repeat(1, 1, 2, 2)
    weight_mo44 = F.conv2d(weight_mc22, conv.weight, padding=2)
    return weight_mo44, F.conv2d(bias_1c44, conv.weight, conv.bias, padding=1)


def spread_bias(bias_1o44: Tensor, height: int, width: int) -> Tensor:
    """The bias of `compose_shuffle` for a map of h x w before it: ``[1, o, 2h, 2w]``.

    Its first and last rows and columns are for the edges, the two between them for all places between.
    """
    between = bias_1o44[:, :, 1:3].repeat(1, 1, height - 1, 1)
    rows = torch.cat((bias_1o44[:, :, :1], between, bias_1o44[:, :, 3:]), dim=2)
    between = rows[..., 1:3].repeat(1, 1, 1, width - 1)
    return torch.cat((rows[..., :1], between, rows[..., 3:]), dim=3)


def shuffle_pays(pointwise: nn.Conv2d, conv: nn.Conv2d) -> bool:
    """Whether `compose_shuffle` makes less work of a map, counted for each position before it."""
    in_turn = pointwise.weight.numel() + 4 * conv.weight.numel()
    return 16 * pointwise.in_channels * conv.out_channels < in_turn


def compose(layers: Sequence[nn.Conv2d]) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that does the work of several, where none of them pads.

    A kernel seen through a convolution of stride s is spread out by s: which is what a transposed convolution does.

    Args:
        layers: Convolutions as for `convolve`.

    Returns:
        Weight ``[o, i, p, p]``, with p the receptive field of the layers, and bias ``[o]``.
    """
    first, *others = layers
    assert first.bias is not None
    weight_kihw, bias_k, stride = first.weight, first.bias, first.stride[0]
    for layer in others:
        assert layer.bias is not None
        bias_k = layer.weight.sum((2, 3)) @ bias_k + layer.bias
        weight_kihw = F.conv_transpose2d(layer.weight, weight_kihw, stride=stride)
        stride *= layer.stride[0]
    return weight_kihw, bias_k


def work_in_turn(layers: Sequence[nn.Conv2d], height: int, width: int) -> int:
    """Multiply-adds of the layers for one image."""
    work = 0
    for layer in layers:
        height, width = (_num_outputs(side, [layer]) for side in (height, width))
        work += layer.weight.numel() * height * width
    return work


def work_composed(layers: Sequence[nn.Conv2d], height: int, width: int) -> int:
    """Multiply-adds of the one convolution for one image, without the edges."""
    kernel = _geometry(layers)[0]
    positions = _num_outputs(height, layers) * _num_outputs(width, layers)
    return kernel**2 * layers[0].in_channels * layers[-1].out_channels * positions


def in_turn(x_bchw: Tensor, layers: Iterable[nn.Module]) -> Tensor:
    """The layers called one after another: what `convolve` equals."""
    for layer in layers:
        x_bchw = layer(x_bchw)
    return x_bchw


def _convolve(x_bchw: Tensor, weight_oihw: Tensor, bias_o: Tensor, layers: Sequence[nn.Conv2d]) -> Tensor:
    """The composed convolution, in the faster of two forms."""
    num_out, num_in, kernel, _ = weight_oihw.shape
    _, stride, padding = _geometry(layers)
    few_outputs = num_out * kernel**2 <= num_in and stride == 1 and 2 * padding == kernel - 1
    if not few_outputs or x_bchw.device.type != "cpu":
        return F.conv2d(x_bchw, weight_oihw, bias_o, stride, padding)
    # To one channel, as at the end of WaveMixSR: torch's convolution takes 2.7 times as long for a training step as a
    # matrix product that makes a map for each value of the kernel, and the sum of these maps, shifted.
    taps = weight_oihw.flip(2, 3).permute(0, 2, 3, 1).reshape(-1, num_in, 1, 1)
    maps = F.conv2d(x_bchw, taps).flatten(2)
    return F.fold(maps, x_bchw.shape[2:], kernel, padding=padding) + bias_o[:, None, None]


def _geometry(layers: Sequence[nn.Conv2d]) -> tuple[int, int, int]:
    """Kernel side, stride and padding of the layers taken as one."""
    kernel, stride, padding = 1, 1, 0
    for layer in layers:
        kernel += (layer.kernel_size[0] - 1) * stride
        padding += int(layer.padding[0]) * stride
        stride *= layer.stride[0]
    return kernel, stride, padding


def _strips(length: int, layers: Sequence[nn.Conv2d]) -> tuple[int, int, int, int]:
    """What an axis of ``length`` needs besides the composed convolution.

    Returns:
        How many outputs at its start touch padding between layers, how many inputs from the start they follow from, and
        the same two numbers for its end.
    """
    size, start, end = length, 0, 0
    for index, layer in enumerate(layers):
        kernel, stride, padding = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
        num_out = (size + 2 * padding - kernel) // stride + 1
        if index:  # what the first layer pads, the composed convolution pads too
            # Output n reads the inputs from n * stride - padding on, as many as the kernel has.
            start = -(-(start + padding) // stride)
            first_touched = -(-(size - end + padding - kernel + 1) // stride)
            end = max(num_out - first_touched, 0)
        size = num_out
    kernel, stride, padding = _geometry(layers)
    start_length = (start - 1) * stride - padding + kernel if start else 0
    # The layers must meet the strip at the end in step with their strides.
    end_start = (size - end - -(-padding // stride)) * stride
    return start, start_length, end, length - end_start if end else 0


def _num_outputs(side: int, layers: Sequence[nn.Conv2d]) -> int:
    kernel, stride, padding = _geometry(layers)
    return max((side + 2 * padding - kernel) // stride + 1, 0) if side else 0
