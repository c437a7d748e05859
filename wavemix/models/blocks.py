"""Decides how a WaveMix block mixes a feature map at one to four scales; does not know what stands before or after it.

Shapes: b = batch, d = dim, c = reduced channels (d/4 where the mixer makes four bands of each), h, w = height, width;
q = mixed channels, u, v = sides of a level, halved from level to level; m = hidden channels.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from wavemix.models.checks import at_least_1
from wavemix.models.expand import ExpandName, ShuffleConv, build_expand, expand_channels
from wavemix.models.linear import compose_shuffle, shuffle_pays, spread_bias
from wavemix.models.mixers import PROPORTIONS, HaarMixer, MixerName, build_mixer
from wavemix.models.norm import BatchNorm2d
from wavemix.models.recompute import gelu_dropout_conv, gelu_dropout_deconv
from wavemix.models.wavelet import haar_ll, haar_then_pointwise


class WaveMixBlock(nn.Module):
    """Token mixing by a multi-level wavelet transform and one feed-forward network per level.

    A 1x1 convolution reduces the d channels to d/4, so that the four sub-bands of a level have d channels again. Level
    k + 1 transforms the ll of level k. From the deepest level to the finest, the sub-bands of a level, joined with the
    result of the level below, pass through ``1x1 conv -> GELU -> dropout -> 1x1 conv -> transposed conv (x2) -> BN``.

    The block adds its input only when asked, as `add_residuals` does.

    Two steps are computed as one: the Haar transform and the 1x1 convolution behind it are a 2x2 convolution, and the
    joined result of the level below enters through its own part of that 1x1 convolution, as a sum instead of a copy.

    Source: WaveMix (arXiv 2205.14375), section 3.2 and appendix A; the arithmetic and parameter count of
    ``Level{1,2,3,4}Waveblock`` in the authors' package wavemix 0.2.4. Deliberate differences: each level is computed
    once, where theirs recomputes the levels above it; and maps whose sides are not divisible by ``2**levels``, on
    which theirs fails, are padded. For the ablations of section 4.6 no code was published: without four sub-bands
    (the mixers none, fourier and maxpool), the reduction keeps d channels, so that the rest stays as it is.
    """

    def __init__(
        self,
        dim: int,
        *,
        levels: int = 1,
        mult: int = 2,
        ff_dim: int | None = None,
        dropout: float = 0.0,
        expand: ExpandName = "deconv",
        wavelet: str = "haar",
        mixer: MixerName = "dwt",
        deepest_only: bool = False,
        drop_path: float = 0.0,
    ) -> None:
        """Make the convolutions with torch's default initialisation.

        Args:
            dim: Channels of the input and the output (d); divisible by 4.
            levels: Levels of the transform, 1 to 4; 1 for mixers that keep the size.
            mult: Width of the hidden layer at every level, in multiples of dim.
            ff_dim: Channels between the second 1x1 convolution and the expansion; None stands for dim, or for what
                an expansion without weights needs.
            dropout: Probability of dropping a hidden value, in [0, 1].
            expand: What doubles height and width of a level's result; see `build_expand`.
            wavelet: The wavelet of the mixer ``"dwt"``: ``"haar"`` or a name of PyWavelets, such as ``"db2"``.
            mixer: What mixes the tokens: the wavelet transform, or one of section 4.6's replacements for it.
            deepest_only: Whether the deepest level alone has a feed-forward network, expanded at once to full size
                (table 14).
            drop_path: Probability, in [0, 1), that a sample passes a residual block unchanged in training (stochastic
                depth, arXiv 1603.09382); what the block adds to the others grows in proportion, as in timm.

        Raises:
            ValueError: If dim is not a positive multiple of 4, levels is outside 1..4 or does not fit the mixer, mult
                or ff_dim is below 1, drop_path is out of range, a name is unknown, or ff_dim does not fit the
                expansion.
            ModuleNotFoundError: If the wavelet needs PyWavelets and that is not installed.
        """
        super().__init__()
        if dim < 4 or dim % 4:
            raise ValueError(f"dim must be a positive multiple of 4 (one part for each sub-band), got {dim}")
        if levels not in range(1, 5):
            raise ValueError(f"levels must be 1, 2, 3 or 4, got {levels}")
        at_least_1(mult=mult, ff_dim=ff_dim)
        if not 0 <= drop_path < 1:
            raise ValueError(f"drop_path must be at least 0 and below 1, got {drop_path}")
        self.mixer = build_mixer(mixer, wavelet)
        num_bands, stride = PROPORTIONS[mixer]
        if stride == 1 and levels > 1:
            raise ValueError(f"the mixer {mixer!r} keeps the size, so levels must be 1, got {levels}")
        self.dim = dim
        self.levels = levels
        self.drop_path = drop_path
        self.size_step = stride**levels
        self.can_fold = isinstance(self.mixer, HaarMixer) and not deepest_only
        self.composes = True  # False: the layers in turn, as `wavemix.models.fuse.layer_by_layer` asks for
        self.reduce = nn.Conv2d(dim, dim // num_bands, kernel_size=1)
        # Index 0 is the finest level. All but the finest hand dim/2 channels up; all but the deepest receive them.
        self.feedforwards = nn.ModuleList()
        for depth in (levels,) if deepest_only else range(1, levels + 1):
            out_channels = dim if depth == 1 or deepest_only else dim // 2
            ff_channels = expand_channels(expand, out_channels=out_channels, ff_dim=ff_dim, default_ff_dim=dim)
            self.feedforwards.append(
                FeedForward(
                    nn.Conv2d(dim if depth == levels else dim + dim // 2, mult * dim, kernel_size=1),
                    nn.Dropout(dropout),
                    nn.Conv2d(mult * dim, ff_channels, kernel_size=1),
                    build_expand(
                        expand,
                        in_channels=ff_channels,
                        out_channels=out_channels,
                        factor=self.size_step if deepest_only else stride,
                        wavelet=wavelet,
                    ),
                    BatchNorm2d(out_channels),
                )
            )

    def forward(self, x_bdhw: Tensor, *, add_input: bool = False) -> Tensor:
        """Mix a feature map over space and channels.

        Sides not divisible by ``2**levels`` are padded with zeros at the bottom and the right, and the result is
        cropped: ``block(x) == block(pad(x))[..., :h, :w]``. In training, the batch statistics include the padding.

        Args:
            x_bdhw: Feature map with ``dim`` channels and any height and width.
            add_input: Whether to add the input, as a residual block.

        Returns:
            ``[b, d, h, w]``.
        """
        height, width = x_bdhw.shape[2:]
        step = self.size_step
        fits = height % step == 0 and width % step == 0
        padded_bdhw = x_bdhw if fits else F.pad(x_bdhw, (0, -width % step, 0, -height % step))
        reduced_bchw = self.reduce(padded_bdhw)
        mixed_bdhw = self._folded(reduced_bchw) if self.composes and self.can_fold else self._in_turn(reduced_bchw)
        if not fits:
            mixed_bdhw = mixed_bdhw[..., :height, :width]
        if not add_input:
            return mixed_bdhw
        if self.training and self.drop_path > 0:
            keep_prob = 1 - self.drop_path
            keep_b111 = mixed_bdhw.new_empty(len(mixed_bdhw), 1, 1, 1).bernoulli_(keep_prob)
            mixed_bdhw = mixed_bdhw.mul_(keep_b111 / keep_prob)
        # In the memory of the result where that is possible: nothing else reads it, and the map is a large one.
        return mixed_bdhw.add_(x_bdhw) if fits and mixed_bdhw.dtype == x_bdhw.dtype else mixed_bdhw + x_bdhw

    def _folded(self, coarse_bcuv: Tensor) -> Tensor:
        """The Haar transform of each level as part of the convolution behind it."""
        hidden_by_level: list[Tensor] = []
        for feedforward in self.feedforwards:
            if hidden_by_level:
                coarse_bcuv = haar_ll(coarse_bcuv)
            hidden_by_level.append(cast(FeedForward, feedforward).widen_squares(coarse_bcuv))
        mixed: Tensor = self.feedforwards[-1](hidden_by_level.pop())
        for hidden_bmuv, feedforward in zip(reversed(hidden_by_level), self._finer_feedforwards(), strict=True):
            mixed = feedforward(feedforward.widen_mixed(mixed).add_(hidden_bmuv))
        return mixed

    def _in_turn(self, coarse_bcuv: Tensor) -> Tensor:
        """Layer by layer, for any mixer: what `_folded` equals."""
        channels = coarse_bcuv.shape[1]
        sizes, bands_by_level = [], []
        for _ in range(self.levels):
            sizes.append(coarse_bcuv.shape[2:])
            bands_by_level.append(self.mixer(coarse_bcuv))
            coarse_bcuv = bands_by_level[-1][:, :channels]
        # Of the deepest level alone, the result has the size of the finest at once.
        sizes, bands_by_level = sizes[: len(self.feedforwards)], bands_by_level[-len(self.feedforwards) :]
        deepest = cast(FeedForward, self.feedforwards[-1])
        mixed = _centre(deepest(deepest.widen(bands_by_level.pop())), sizes.pop())
        for size, bands_bquv, feedforward in zip(
            reversed(sizes), reversed(bands_by_level), self._finer_feedforwards(), strict=True
        ):
            joined_bquv = torch.cat((bands_bquv, mixed), dim=1)
            mixed = _centre(feedforward(feedforward.widen(joined_bquv)), size)
        return mixed

    def _finer_feedforwards(self) -> list["FeedForward"]:
        """All but the deepest level's, from the second deepest up."""
        return cast(list[FeedForward], [*self.feedforwards][-2::-1])


class FeedForward(nn.Module):
    """Mixes the channels of one level and brings it to the size of the level above.

    ``widen`` is the first 1x1 convolution; its block calls it, in the one or the other form, and `forward` continues.
    """

    def __init__(
        self, widen: nn.Conv2d, dropout: nn.Dropout, project: nn.Conv2d, upsample: nn.Module, norm: nn.Module
    ) -> None:
        """Hold the layers of a level."""
        super().__init__()
        self.composes = True  # False: the layers in turn, as `wavemix.models.fuse.layer_by_layer` asks for
        self.widen = widen
        self.dropout = dropout
        self.project = project
        self.upsample = upsample
        self.norm = norm

    def widen_squares(self, coarse_bcuv: Tensor) -> Tensor:
        """The part of ``widen`` that reads the Haar sub-bands of a map, with the bias."""
        weight_mq11 = self.widen.weight[:, : 4 * coarse_bcuv.shape[1]]
        return haar_then_pointwise(coarse_bcuv, weight_mq11, self.widen.bias)

    def widen_mixed(self, mixed_bduv: Tensor) -> Tensor:
        """The part of ``widen`` that reads the result of the level below."""
        return F.conv2d(mixed_bduv, self.widen.weight[:, -mixed_bduv.shape[1] :])

    def forward(self, hidden_bmuv: Tensor) -> Tensor:
        """From behind ``widen`` to the finer map: ``[b, m, u, v]`` to ``[b, o, 2u, 2v]``."""
        mixed_bohw: Tensor = self.norm(self._upsampled(hidden_bmuv))
        return mixed_bohw

    def _upsampled(self, hidden_bmuv: Tensor) -> Tensor:
        project, upsample = self.project, self.upsample
        if isinstance(upsample, nn.ConvTranspose2d):
            return gelu_dropout_conv(hidden_bmuv, self.dropout, project, upsample)
        if isinstance(upsample, ShuffleConv) and self.composes and shuffle_pays(project, upsample.conv):
            weight_mo44, bias_1o44 = compose_shuffle(project, upsample.conv)
            up_bohw = gelu_dropout_deconv(hidden_bmuv, self.dropout, weight_mo44)
            return up_bohw.add_(spread_bias(bias_1o44, *hidden_bmuv.shape[2:]))
        plain_bohw: Tensor = upsample(gelu_dropout_conv(hidden_bmuv, self.dropout, project))
        return plain_bohw


def add_residuals(x_bdhw: Tensor, blocks: nn.ModuleList, *, checkpoint_blocks: bool = False) -> Tensor:
    """``x + block(x)`` for each block in turn.

    Args:
        x_bdhw: Feature map.
        blocks: `WaveMixBlock`s.
        checkpoint_blocks: Whether each block is computed again in the backward pass instead of keeping what it made:
            less memory, about a third more time. Left to the compiler under torch.compile.

    Returns:
        ``[b, d, h, w]``.
    """
    recomputes = checkpoint_blocks and torch.is_grad_enabled() and not torch.compiler.is_compiling()
    for block in blocks:
        if recomputes:
            contexts = partial(_contexts, block)
            x_bdhw = checkpoint(block, x_bdhw, use_reentrant=False, context_fn=contexts, add_input=True)
        else:
            x_bdhw = block(x_bdhw, add_input=True)
    return x_bdhw


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Around the first forward pass of a checkpoint, and around the one in the backward pass."""
    return nullcontext(), _statistics_kept(block)


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """The second forward pass of a checkpoint must not count a batch twice in the running statistics."""
    kept = [(buffer, buffer.clone()) for buffer in block.buffers()]
    try:
        yield
    finally:  # checkpoint leaves by an exception as soon as it has what it wants
        for buffer, value in kept:
            buffer.copy_(value)


def _centre(x_bdhw: Tensor, size: tuple[int, ...]) -> Tensor:
    """What lies over the map that was transformed: filters of more than two taps make a result larger on all sides."""
    top, left = ((have - want) // 2 for have, want in zip(x_bdhw.shape[2:], size, strict=True))
    return x_bdhw[..., top : top + size[0], left : left + size[1]]
