"""Decides how stem, blocks and head form a WaveMix network; does not know how its input was made or what it is for.

Shapes: b = batch, c = image channels, h, w = height, width of the image; d = dim, u, v = sides behind the stem,
k = classes, e = head_dim.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from wavemix.models.blocks import WaveMixBlock, add_residuals
from wavemix.models.checks import at_least_1
from wavemix.models.expand import ExpandName
from wavemix.models.linear import LinearChain
from wavemix.models.mixers import MixerName
from wavemix.models.stems import StemName, build_stem, channels_last


class WaveMixClassifier(nn.Module):
    """Image classifier: stem, ``depth`` residual WaveMix blocks, global average, linear layer.

    With ``levels=1`` this is WaveMix-Lite.

    Source: WaveMix (arXiv 2205.14375), section 3.1; the function and parameter count of ``classification.WaveMix`` in
    the authors' package wavemix 0.2.4, and with ``head_dim=1024`` of WaveMix_Version2.py, whose head has the parameter
    counts of tables 2, 8 and 9. Deliberate differences: every image size that survives the stem is accepted (see
    `WaveMixBlock`), the image may have any number of channels, and unknown names are refused, where theirs takes any
    unknown stem for the patches and any unknown level for 1.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        dim: int,
        depth: int,
        levels: int = 1,
        mult: int = 2,
        ff_dim: int | None = None,
        dropout: float = 0.0,
        stem: StemName = "strided",
        stride: int = 1,
        patch_size: int = 4,
        in_channels: int = 3,
        expand: ExpandName = "deconv",
        wavelet: str = "haar",
        mixer: MixerName = "dwt",
        head_dim: int | None = None,
        deepest_only: bool = False,
        drop_path: float = 0.0,
        checkpoint_blocks: bool = False,
    ) -> None:
        """Make the network with torch's default initialisation.

        Args:
            num_classes: Number of classes (k).
            dim: Channels of the blocks (d); divisible by 4.
            depth: Number of blocks, at least 1.
            levels: Levels of the wavelet transform in every block, 1 to 4.
            mult: Width of a block's hidden layer, in multiples of dim.
            ff_dim: Channels before a block's expansion; see `WaveMixBlock`.
            dropout: Probability of dropping a hidden value in the blocks, in [0, 1].
            stem: ``"strided"`` or ``"patchify"``; see `build_stem`.
            stride: Stride of each of the two convolutions of the strided stem; the other stem does not read it.
            patch_size: Side of a patch of the patchify stem; the other stem does not read it.
            in_channels: Channels of the image (c).
            expand: How a block doubles the size: ``"deconv"``, ``"bilinear"``, ``"idwt"`` or ``"pixel_shuffle"``.
            wavelet: ``"haar"``, or a wavelet of PyWavelets for the ablation of table 13.
            mixer: ``"dwt"``, or another for the ablations of section 4.6.
            head_dim: Channels of a 1x1 convolution before the average (e), or None for none.
            deepest_only: Whether a block mixes at its deepest level alone (table 14).
            drop_path: Probability of the last block to be left out for a sample in training; it grows evenly with the
                depth, from 0 of the first block (see `WaveMixBlock`).
            checkpoint_blocks: Whether to keep less of each block in training and compute it again (`add_residuals`).

        Raises:
            ValueError: If a name is unknown, a number is below 1, or an argument of the blocks is out of range.
            ModuleNotFoundError: If the wavelet needs PyWavelets and that is not installed.
        """
        super().__init__()
        at_least_1(num_classes=num_classes, depth=depth, head_dim=head_dim)
        self.checkpoint_blocks = checkpoint_blocks
        self.blocks = _blocks(
            depth, dim, levels, mult, ff_dim, dropout, expand, wavelet, mixer, deepest_only, drop_path
        )
        self.stem = build_stem(stem, in_channels=in_channels, dim=dim, stride=stride, patch_size=patch_size)
        self.composes = True  # False: the layers in turn, as `wavemix.models.fuse.layer_by_layer` asks for
        self.final = None if head_dim is None else nn.Conv2d(dim, head_dim, kernel_size=1)
        self.head = nn.Linear(dim if head_dim is None else head_dim, num_classes)

    def forward_features(self, x_bchw: Tensor) -> Tensor:
        """The feature map behind the last block.

        Args:
            x_bchw: Images with ``in_channels`` channels, normalised as in training.

        Returns:
            ``[b, d, u, v]``, channels last in memory: u and v are h and w divided by ``stride**2`` (rounded up), or by
            ``patch_size`` (down: pixels at the bottom and the right that fill no patch are not seen).
        """
        x_bduv = self.stem(channels_last(x_bchw))
        return add_residuals(x_bduv, self.blocks, checkpoint_blocks=self.checkpoint_blocks)

    def forward_head(self, x_bduv: Tensor) -> Tensor:
        """The class scores of a feature map.

        Args:
            x_bduv: Feature map with ``dim`` channels and any height and width.

        Returns:
            ``[b, k]``: unnormalised log-probabilities.
        """
        if self.final is None:
            x_bd = _average(x_bduv)
        elif self.composes:  # all linear: averaged first, e channels are made once an image, not at each position
            x_bd = self.final(_average(x_bduv)[:, :, None, None]).flatten(1)
        else:
            x_bd = _average(self.final(x_bduv))
        logits_bk: Tensor = self.head(x_bd)
        return logits_bk

    def forward(self, x_bchw: Tensor) -> Tensor:
        """``forward_head(forward_features(x))``: images ``[b, c, h, w]`` to class scores ``[b, k]``."""
        return self.forward_head(self.forward_features(x_bchw))


class WaveMixSegmenter(nn.Module):
    """Segmentation network: stem, residual WaveMix blocks, and a decoder of two transposed and a 1x1 convolution.

    The decoder multiplies the size by 4, so the stem is to divide it by 4: a stride of 2, or patches of 4.

    Source: WaveMix (arXiv 2205.14375), section 4.3; the function and parameter count of ``SemSegment.WaveMix`` in the
    authors' package wavemix 0.2.4, and with ``stem="patchify", decoder_dims=(128, 64)`` of their Cityscapes.py.
    Deliberate differences: every image size is accepted, by padding and cropping, and the stem may be any.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        dim: int,
        depth: int,
        levels: int = 4,
        mult: int = 2,
        ff_dim: int | None = None,
        dropout: float = 0.0,
        stem: StemName = "strided",
        stride: int = 2,
        patch_size: int = 4,
        in_channels: int = 3,
        expand: ExpandName = "deconv",
        wavelet: str = "haar",
        mixer: MixerName = "dwt",
        decoder_dims: tuple[int, int] | None = None,
        checkpoint_blocks: bool = False,
    ) -> None:
        """Make the network with torch's default initialisation.

        Args:
            num_classes: Number of classes (k).
            dim: Channels of the blocks (d); divisible by 4.
            depth: Number of blocks, at least 1.
            levels: Levels of the wavelet transform in every block, 1 to 4.
            mult: Width of a block's hidden layer, in multiples of dim.
            ff_dim: Channels before a block's expansion; see `WaveMixBlock`.
            dropout: Probability of dropping a hidden value in the blocks, in [0, 1].
            stem: ``"strided"`` or ``"patchify"``; see `build_stem`.
            stride: Stride of each of the two convolutions of the strided stem; the other stem does not read it.
            patch_size: Side of a patch of the patchify stem; the other stem does not read it.
            in_channels: Channels of the image (c).
            expand: How a block doubles the size: ``"deconv"``, ``"bilinear"``, ``"idwt"`` or ``"pixel_shuffle"``.
            wavelet: ``"haar"``, or a wavelet of PyWavelets.
            mixer: ``"dwt"``, or another for ablations.
            decoder_dims: Channels behind the first and the second transposed convolution; None stands for
                ``(dim // 2, dim // 4)``.
            checkpoint_blocks: Whether to keep less of each block in training and compute it again (`add_residuals`).

        Raises:
            ValueError: If a name is unknown, a number is below 1, or an argument of the blocks is out of range.
            ModuleNotFoundError: If the wavelet needs PyWavelets and that is not installed.
        """
        super().__init__()
        at_least_1(num_classes=num_classes, depth=depth)
        self.checkpoint_blocks = checkpoint_blocks
        self.size_step = patch_size if stem == "patchify" else 1
        self.keeps_size = (patch_size if stem == "patchify" else stride**2) == 4
        self.stem = build_stem(stem, in_channels=in_channels, dim=dim, stride=stride, patch_size=patch_size)
        self.blocks = _blocks(
            depth, dim, levels, mult, ff_dim, dropout, expand, wavelet, mixer, deepest_only=False, drop_path=0.0
        )
        first, second = (dim // 2, dim // 4) if decoder_dims is None else decoder_dims
        self.decoder = LinearChain(
            nn.ConvTranspose2d(dim, first, kernel_size=4, stride=2, padding=1),
            nn.ConvTranspose2d(first, second, kernel_size=4, stride=2, padding=1),
            nn.Conv2d(second, num_classes, kernel_size=1),
        )

    def forward_features(self, x_bchw: Tensor) -> Tensor:
        """The feature map behind the last block.

        Args:
            x_bchw: Images with ``in_channels`` channels, normalised as in training; zeros are added at the bottom and
                the right to fill the last patches.

        Returns:
            ``[b, d, u, v]``, channels last in memory: u and v are h and w divided by ``stride**2`` or ``patch_size``,
            rounded up.
        """
        height, width = x_bchw.shape[2:]
        if height % self.size_step or width % self.size_step:
            x_bchw = F.pad(x_bchw, (0, -width % self.size_step, 0, -height % self.size_step))
        x_bduv = self.stem(channels_last(x_bchw))
        return add_residuals(x_bduv, self.blocks, checkpoint_blocks=self.checkpoint_blocks)

    def forward_head(self, x_bduv: Tensor) -> Tensor:
        """The class scores of a feature map, at four times its size: ``[b, d, u, v]`` to ``[b, k, 4u, 4v]``."""
        logits_bkhw: Tensor = self.decoder(x_bduv)
        return logits_bkhw

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Class scores of every pixel.

        Args:
            x_bchw: Images with ``in_channels`` channels and any height and width.

        Returns:
            ``[b, k, h, w]``: unnormalised log-probabilities; ``[b, k, 4u, 4v]`` if the stem does not divide the size
            by 4.
        """
        height, width = x_bchw.shape[2:]
        logits_bkhw = self.forward_head(self.forward_features(x_bchw))
        return logits_bkhw[..., :height, :width] if self.keeps_size else logits_bkhw


def _average(x_bduv: Tensor) -> Tensor:
    """Over all positions; so written, the gradient has its channels last in memory too, as all behind it expects."""
    return x_bduv.permute(0, 2, 3, 1).flatten(1, 2).mean(1)


def _blocks(
    depth: int,
    dim: int,
    levels: int,
    mult: int,
    ff_dim: int | None,
    dropout: float,
    expand: ExpandName,
    wavelet: str,
    mixer: MixerName,
    deepest_only: bool,
    drop_path: float,
) -> nn.ModuleList:
    return nn.ModuleList(
        WaveMixBlock(
            dim,
            levels=levels,
            mult=mult,
            ff_dim=ff_dim,
            dropout=dropout,
            expand=expand,
            wavelet=wavelet,
            mixer=mixer,
            deepest_only=deepest_only,
            drop_path=drop_path * number / max(1, depth - 1),
        )
        for number in range(depth)
    )
