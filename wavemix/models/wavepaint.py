"""Decides how WavePaint fills the holes of an image, module by module; does not know how masks are drawn.

Shapes: b = batch, h, w = height, width, d = dim, u, v = h/2, w/2, f = d/2 features. Masks: 1 = hole.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wavemix.models.blocks import WaveMixBlock, add_residuals
from wavemix.models.checks import at_least_1
from wavemix.models.linear import LinearChain
from wavemix.models.norm import BatchNorm2d
from wavemix.models.stems import channels_last


class WavePaint(nn.Module):
    """Inpainting: modules that refine the whole image one after another, and the known pixels put back at the end.

    Source: WavePaint (arXiv 2307.00407). ``mask_input=True``: wavepaint/model.py of the authors' repository, the
    network of the paper, whose modules read the mask as a fourth channel. ``mask_input=False``: model.py at its root,
    of 2024, whose modules do not see the mask; its result is ``filled * mask + image``, which is the same where image
    is 0 in the hole. Deliberate difference: sides not divisible by 4, on which theirs fail, are padded and cropped.
    """

    def __init__(
        self,
        *,
        num_modules: int,
        blocks_per_module: int = 4,
        dim: int = 128,
        mult: int = 2,
        ff_dim: int | None = None,
        dropout: float = 0.5,
        levels: int = 1,
        mask_input: bool = True,
        checkpoint_blocks: bool = False,
    ) -> None:
        """Make the network with torch's default initialisation.

        Args:
            num_modules: Number of refinement modules, at least 1.
            blocks_per_module: WaveMix blocks in a module, at least 1.
            dim: Channels of the blocks (d); divisible by 4.
            mult: Width of a block's hidden layer, in multiples of dim; 2 in the paper, 4 in the weights of 2024.
            ff_dim: Channels before a block's transposed convolution; None stands for dim.
            dropout: Probability of dropping a hidden value in the blocks, in [0, 1].
            levels: Levels of the Haar transform in every block, 1 to 4.
            mask_input: Whether the modules read the mask.
            checkpoint_blocks: Whether to keep less of each block in training and compute it again (`add_residuals`).

        Raises:
            ValueError: If a number is out of range.
        """
        super().__init__()
        at_least_1(num_modules=num_modules, blocks_per_module=blocks_per_module)
        self.mask_input = mask_input
        self.refiners = nn.ModuleList(
            Refiner(
                [
                    WaveMixBlock(dim, levels=levels, mult=mult, ff_dim=ff_dim, dropout=dropout)
                    for _ in range(blocks_per_module)
                ],
                in_channels=4 if mask_input else 3,
                dim=dim,
                checkpoint_blocks=checkpoint_blocks,
            )
            for _ in range(num_modules)
        )

    def forward(self, image_b3hw: Tensor, mask_b1hw: Tensor) -> Tensor:
        """Fill the holes.

        Args:
            image_b3hw: RGB images in [0, 1], with 0 in the holes.
            mask_b1hw: 1 where a pixel is missing, 0 where it is known; any dtype, bool too.

        Returns:
            ``[b, 3, h, w]``: known pixels unchanged, missing ones filled with values that are not clamped.
        """
        # So the gradient has its channels last too; else the backward pass of `to_image` takes ten times as long.
        image_b3hw, mask_b1hw = channels_last(image_b3hw), mask_b1hw.to(image_b3hw.dtype)
        height, width = image_b3hw.shape[2:]
        padding = (0, width % 2, 0, height % 2)
        filled_b3hw = F.pad(image_b3hw, padding) if any(padding) else image_b3hw
        if self.mask_input:
            padded_b1hw = F.pad(mask_b1hw, padding) if any(padding) else mask_b1hw
            for refiner in self.refiners:
                filled_b3hw = filled_b3hw + refiner(filled_b3hw, torch.cat((filled_b3hw, padded_b1hw), dim=1))
            return filled_b3hw[..., :height, :width] * mask_b1hw + image_b3hw * (1 - mask_b1hw)
        for refiner in self.refiners:
            filled_b3hw = filled_b3hw + refiner(filled_b3hw, filled_b3hw)
        return filled_b3hw[..., :height, :width] * mask_b1hw + image_b3hw


class Refiner(nn.Module):
    """One module: blocks at half resolution, between a strided stem and a decoder with skip connections.

    Two layers read two maps each: the transposed convolution reads what the blocks and what the stem made, the last
    convolution the features from there and the image. Both are sums of two convolutions here: to join the maps first
    would be to copy and to keep the largest ones of the network.
    """

    def __init__(self, blocks: list[WaveMixBlock], *, in_channels: int, dim: int, checkpoint_blocks: bool) -> None:
        """Make the layers around the blocks."""
        super().__init__()
        self.checkpoint_blocks = checkpoint_blocks
        self.composes = True  # False: the layers in turn, as `wavemix.models.fuse.layer_by_layer` asks for
        self.stem = LinearChain(
            nn.Conv2d(in_channels, dim // 2, kernel_size=3, padding=1),
            nn.Conv2d(dim // 2, dim, kernel_size=3, stride=2, padding=1),
        )
        self.blocks = nn.ModuleList(blocks)
        self.depthwise = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(dim, dim, kernel_size=5, padding=2, groups=dim), act=nn.GELU(), norm=BatchNorm2d(dim)
            )
        )
        self.upsample = nn.ConvTranspose2d(2 * dim, dim // 2, kernel_size=4, stride=2, padding=1)
        self.norm = BatchNorm2d(dim // 2)
        self.to_image = nn.Conv2d(dim // 2 + 3, 3, kernel_size=1)

    def forward(self, image_b3hw: Tensor, seen_bchw: Tensor) -> Tensor:
        """What to add to the image.

        Args:
            image_b3hw: The image so far; h and w even.
            seen_bchw: What the stem reads: the image, and the mask if it is to be seen.

        Returns:
            ``[b, 3, h, w]``.
        """
        skip_bduv = self.stem(channels_last(seen_bchw))
        x_bduv = add_residuals(skip_bduv, self.blocks, checkpoint_blocks=self.checkpoint_blocks)
        mixed_bduv = self.depthwise(x_bduv)
        if not self.composes:
            joined_bfhw = torch.cat((self.norm(self.upsample(torch.cat((mixed_bduv, skip_bduv), 1))), image_b3hw), 1)
            change_b3hw: Tensor = self.to_image(joined_bfhw)
            return change_b3hw
        dim, num_features = mixed_bduv.shape[1], self.upsample.out_channels
        deconv, image_weight_3f11 = self.upsample, self.to_image.weight
        up_bfhw = F.conv_transpose2d(mixed_bduv, deconv.weight[:dim], deconv.bias, stride=2, padding=1)
        up_bfhw.add_(F.conv_transpose2d(skip_bduv, deconv.weight[dim:], stride=2, padding=1))
        from_features = F.conv2d(self.norm(up_bfhw), image_weight_3f11[:, :num_features], self.to_image.bias)
        return from_features + F.conv2d(image_b3hw, image_weight_3f11[:, num_features:])
