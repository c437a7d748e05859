"""Decides how a trained network is rewritten for deployment, or unfolded into the layers of the papers.

Both functions return a new module and leave the given one alone. They know the networks, and not what these are for.

Shapes: b = batch, c = reduced channels, d = dim, m = hidden channels, o = channels of a level's result, u, v = sides of
a level, h, w = height, width.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from wavemix.models.blocks import FeedForward, WaveMixBlock, add_residuals
from wavemix.models.expand import ShuffleConv
from wavemix.models.linear import (
    LinearChain,
    compose,
    compose_deconvolution,
    compose_shuffle,
    convolve,
    deconvolution_pays,
    shuffle_pays,
    spread_bias,
)
from wavemix.models.stems import channels_last
from wavemix.models.wavelet import haar_idwt
from wavemix.models.wavepaint import Refiner


def layer_by_layer(model: nn.Module) -> nn.Module:
    """A copy that calls every layer in turn, as the papers write it: the reference for what a network computes as one.

    Args:
        model: One of our networks, not fused.

    Returns:
        A new module with the same weights, state dict and mode, and the same results up to rounding.
    """
    copied = copy.deepcopy(model)
    for module in copied.modules():
        if hasattr(module, "composes"):
            setattr(module, "composes", False)  # noqa: B010  (to mypy, a module's unknown attributes are modules)
    return copied


def fuse_for_inference(model: nn.Module) -> nn.Module:
    """A copy for deployment: composed weights are made once, and batch normalisation goes into the layer before it.

    What becomes linear by that is composed too: the decoder of WavePaint, from its transposed convolution to the image,
    is one transposed convolution of three channels.

    Args:
        model: One of our networks; its weights must be final.

    Returns:
        A new module in evaluation mode without gradients, equal to the given one in evaluation mode up to rounding. Its
        state dict is its own.
    """
    return _fused(copy.deepcopy(model).eval().requires_grad_(False)).requires_grad_(False)


def _fused(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, _fused(child))
    rewrite = REWRITES.get(type(module))
    return rewrite(module) if rewrite else module


class FusedChain(nn.Module):
    """A `LinearChain` of convolutions whose composed weight is made; the layers serve the edges of the image."""

    def __init__(self, chain: LinearChain) -> None:
        """Compose the weights."""
        super().__init__()
        self.layers = nn.ModuleList(chain.convolutions())
        weight_oihw, bias_o = compose(chain.convolutions())
        self.weight, self.bias = nn.Parameter(weight_oihw), nn.Parameter(bias_o)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """See `convolve`."""
        return convolve(x_bchw, cast(list[nn.Conv2d], [*self.layers]), (self.weight, self.bias))


class FusedFeedForward(nn.Module):
    """A `FeedForward` behind a Haar transform, without dropout or batch normalisation."""

    def __init__(self, layers: FeedForward, num_bands: int) -> None:
        """Fold the transform into the first convolution and the normalisation into the last one."""
        super().__init__()
        weight_mq11, bias_m = layers.widen.weight, layers.widen.bias
        self.squares = _conv(haar_idwt(weight_mq11[:, :num_bands]), bias_m, stride=2)
        self.below = _conv(weight_mq11[:, num_bands:]) if weight_mq11.shape[1] > num_bands else None
        self.project: nn.Module = layers.project
        self.upsample, self.norm = _with_norm(layers.upsample, layers.norm)
        if isinstance(self.upsample, ShuffleConv) and shuffle_pays(layers.project, self.upsample.conv):
            self.project, self.upsample = nn.Identity(), FusedShuffle(layers.project, self.upsample.conv)

    def widen_squares(self, coarse_bcuv: Tensor) -> Tensor:
        """``[b, c, 2u, 2v]`` to ``[b, m, u, v]``."""
        hidden_bmuv: Tensor = self.squares(coarse_bcuv)
        return hidden_bmuv

    def widen_mixed(self, mixed_bouv: Tensor) -> Tensor:
        """``[b, o, u, v]`` to ``[b, m, u, v]``."""
        assert self.below is not None
        hidden_bmuv: Tensor = self.below(mixed_bouv)
        return hidden_bmuv

    def forward(self, hidden_bmuv: Tensor) -> Tensor:
        """``[b, m, u, v]`` to ``[b, o, 2u, 2v]``."""
        mixed_bohw: Tensor = self.norm(self.upsample(self.project(F.gelu(hidden_bmuv))))
        return mixed_bohw


class FusedShuffle(nn.Module):
    """A 1x1 convolution, a pixel shuffle and a 3x3 convolution as one transposed convolution."""

    def __init__(self, pointwise: nn.Conv2d, conv: nn.Conv2d) -> None:
        """Compose the weights."""
        super().__init__()
        weight_mo44, bias_1o44 = compose_shuffle(pointwise, conv)
        self.weight, self.bias = nn.Parameter(weight_mo44), nn.Parameter(bias_1o44)

    def forward(self, hidden_bmuv: Tensor) -> Tensor:
        """``[b, m, u, v]`` to ``[b, o, 2u, 2v]``."""
        y_bohw = F.conv_transpose2d(hidden_bmuv, self.weight, None, stride=2, padding=1)
        return y_bohw.add_(spread_bias(self.bias, *hidden_bmuv.shape[2:]))


class FusedRefiner(nn.Module):
    """A `Refiner` whose decoder is one transposed convolution to three channels."""

    def __init__(self, refiner: Refiner) -> None:
        """Fold the normalisation into the transposed convolution, and compose that with the last layer."""
        super().__init__()
        self.stem, self.blocks, self.depthwise = refiner.stem, refiner.blocks, refiner.depthwise
        num_features = refiner.upsample.out_channels
        to_image = refiner.to_image
        deconv = fuse_conv_bn_eval(refiner.upsample, refiner.norm, transpose=True)
        weight_i3hw, bias_3 = compose_deconvolution(deconv, _conv(to_image.weight[:, :num_features], to_image.bias))
        self.upsample = _deconv(weight_i3hw, bias_3, deconv)
        self.from_image = _conv(to_image.weight[:, num_features:])

    def forward(self, image_b3hw: Tensor, seen_bchw: Tensor) -> Tensor:
        """See `Refiner`."""
        skip_bduv = self.stem(channels_last(seen_bchw))
        x_bduv = add_residuals(skip_bduv, self.blocks)
        change_b3hw: Tensor = self.upsample(torch.cat((self.depthwise(x_bduv), skip_bduv), dim=1))
        return change_b3hw.add_(self.from_image(image_b3hw))


def _fuse_block(block: nn.Module) -> nn.Module:
    assert isinstance(block, WaveMixBlock)
    for index, layers in enumerate(block.feedforwards):
        assert isinstance(layers, FeedForward)
        if block.composes and block.can_fold:
            block.feedforwards[index] = FusedFeedForward(layers, block.dim)
        else:
            layers.upsample, layers.norm = _with_norm(layers.upsample, layers.norm)
    return block


def _fuse_chain(chain: nn.Module) -> nn.Module:
    assert isinstance(chain, LinearChain)
    *others, last = chain
    if isinstance(others[-1], nn.ConvTranspose2d):
        assert isinstance(last, nn.Conv2d)
        if not deconvolution_pays(others[-1], last):
            return nn.Sequential(*chain)
        return nn.Sequential(*others[:-1], _deconv(*compose_deconvolution(others[-1], last), others[-1]))
    return FusedChain(chain)


def _with_norm(upsample: nn.Module, norm: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The same two modules, with the normalisation inside of the first where that is a convolution at its end."""
    assert isinstance(norm, nn.BatchNorm2d)
    if isinstance(upsample, nn.ConvTranspose2d):
        return fuse_conv_bn_eval(upsample, norm, transpose=True), nn.Identity()
    if isinstance(upsample, ShuffleConv):
        upsample.conv = fuse_conv_bn_eval(upsample.conv, norm)
        return upsample, nn.Identity()
    return upsample, norm


def _conv(weight_oihw: Tensor, bias_o: Tensor | None = None, stride: int = 1) -> nn.Conv2d:
    num_out, num_in, side, _ = weight_oihw.shape
    conv = nn.Conv2d(num_in, num_out, side, stride, bias=bias_o is not None, device="meta")
    conv.weight = nn.Parameter(weight_oihw)
    if bias_o is not None:
        conv.bias = nn.Parameter(bias_o)
    return conv


def _deconv(weight_iohw: Tensor, bias_o: Tensor, like: nn.ConvTranspose2d) -> nn.ConvTranspose2d:
    num_in, num_out, side, _ = weight_iohw.shape
    deconv = nn.ConvTranspose2d(num_in, num_out, side, like.stride[0], int(like.padding[0]), device="meta")
    deconv.weight, deconv.bias = nn.Parameter(weight_iohw), nn.Parameter(bias_o)
    return deconv


REWRITES: Final[Mapping[type[nn.Module], Callable[[nn.Module], nn.Module]]] = {
    WaveMixBlock: _fuse_block,
    LinearChain: _fuse_chain,
    Refiner: FusedRefiner,  # type: ignore[dict-item]
}
