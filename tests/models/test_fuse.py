"""Networks rewritten for deployment, and unfolded into the layers of the papers: the same numbers, up to rounding."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wavemix.models import (
    WaveMixClassifier,
    WaveMixSegmenter,
    WaveMixSR,
    WaveMixSRV2,
    WavePaint,
    fuse_for_inference,
    layer_by_layer,
    multiply_adds,
)
from wavemix.models.fuse import FusedFeedForward

IMAGE, SMALL = (2, 3, 37, 32), (2, 3, 9, 8)
MASKED = (IMAGE, (2, 1, 37, 32))
Build = Callable[[], nn.Module]


def classifier(**arguments: Any) -> Build:
    return lambda: WaveMixClassifier(num_classes=5, dim=8, depth=2, dropout=0.5, **arguments)


NETWORKS: dict[str, tuple[Build, tuple[tuple[int, ...], ...]]] = {
    "lite-strided": (classifier(), (IMAGE,)),
    "lite-patchify": (classifier(stem="patchify"), (IMAGE,)),
    "level-3": (classifier(stem="patchify", levels=3, head_dim=16), (IMAGE,)),
    "tiny-image": (classifier(levels=2), ((2, 3, 4, 5),)),
    "bilinear": (classifier(expand="bilinear"), (IMAGE,)),
    "idwt": (classifier(expand="idwt", levels=2), (IMAGE,)),
    "pixel-shuffle": (classifier(expand="pixel_shuffle", levels=2), (IMAGE,)),
    "deepest-only": (classifier(levels=3, deepest_only=True), (IMAGE,)),
    "db2": (classifier(wavelet="db2", levels=2), (IMAGE,)),
    "fourier": (classifier(mixer="fourier"), (IMAGE,)),
    "lifting": (classifier(mixer="lifting", levels=2), (IMAGE,)),
    "segmenter": (lambda: WaveMixSegmenter(num_classes=2, dim=16, depth=2, levels=2), (IMAGE,)),
    "segmenter-many-classes": (lambda: WaveMixSegmenter(num_classes=90, dim=8, depth=1, levels=1), (IMAGE,)),
    "sr": (lambda: WaveMixSR(scale=2, dim=8, depth=2), (SMALL,)),
    "sr-x3": (lambda: WaveMixSR(scale=3, dim=8, depth=1, interpolation="bilinear"), (SMALL,)),
    "sr-v2": (lambda: WaveMixSRV2(scale=4, dim=8, blocks=1), (SMALL,)),
    "paint": (lambda: WavePaint(num_modules=2, blocks_per_module=1, dim=8), MASKED),
    "paint-blind": (lambda: WavePaint(num_modules=1, blocks_per_module=1, dim=8, mask_input=False), MASKED),
}


@pytest.fixture(params=NETWORKS, name="network")
def trained(request: pytest.FixtureRequest) -> tuple[nn.Module, list[Tensor]]:
    """In double precision, with statistics that are not the initial ones."""
    torch.manual_seed(0)
    build, shapes = NETWORKS[request.param]
    model = build().double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    inputs = [torch.rand(shape, dtype=torch.float64) for shape in shapes]
    for _ in range(3):
        model(*inputs)
    return model, inputs


def test_fused_for_inference(network: tuple[nn.Module, list[Tensor]]) -> None:
    model, inputs = network
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fused = fuse_for_inference(model)
    with torch.no_grad():
        assert not fused.training
        torch.testing.assert_close(fused(*inputs), model.eval()(*inputs), atol=1e-12, rtol=1e-12)
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    # The given one stays as it was, weights and mode, and shares nothing with the other.
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    ours = {parameter.data_ptr() for parameter in model.parameters()}
    assert ours.isdisjoint(parameter.data_ptr() for parameter in fused.parameters())


def test_layer_by_layer(network: tuple[nn.Module, list[Tensor]]) -> None:
    model, inputs = network
    unfolded = layer_by_layer(model)
    assert unfolded.training == model.training
    assert unfolded.state_dict().keys() == model.state_dict().keys()
    with torch.no_grad():
        torch.testing.assert_close(unfolded.eval()(*inputs), model.eval()(*inputs), atol=1e-12, rtol=1e-12)


def test_fusing_removes_every_normalisation_behind_a_convolution(network: tuple[nn.Module, list[Tensor]]) -> None:
    fused = fuse_for_inference(network[0])
    for layers in fused.modules():
        if isinstance(layers, FusedFeedForward) and isinstance(layers.upsample, nn.ConvTranspose2d):
            assert isinstance(layers.norm, nn.Identity)


@pytest.mark.parametrize(
    ("build", "shapes", "at_most"),
    [
        # The stem was half of the work of a small network for large images, the decoder of WavePaint a third.
        pytest.param(
            lambda: WaveMixClassifier(num_classes=10, dim=128, depth=2, stem="patchify"),
            [(1, 3, 224, 224)],
            0.41,
            id="lite",
        ),
        pytest.param(WaveMixSR, [(1, 3, 64, 64)], 0.71, id="sr"),
        pytest.param(lambda: WavePaint(num_modules=1), [(1, 3, 256, 256), (1, 1, 256, 256)], 0.55, id="paint"),
    ],
)
def test_fused_networks_do_less(build: Build, shapes: list[tuple[int, ...]], at_most: float) -> None:
    with torch.device("meta"):
        model = build()
    written = multiply_adds(layer_by_layer(model), *shapes)
    assert multiply_adds(fuse_for_inference(model), *shapes) < at_most * written


def test_fused_networks_compile_and_export() -> None:
    torch.manual_seed(0)
    fused = fuse_for_inference(WaveMixClassifier(num_classes=5, dim=8, depth=1, levels=2, stem="patchify"))
    x_bchw = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = fused(x_bchw)
        exported = torch.export.export(fused, (x_bchw,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        torch.testing.assert_close(exported.module()(x_bchw), expected)
        torch.testing.assert_close(exported.module()(x_bchw.repeat(2, 1, 1, 1)), expected.repeat(2, 1))
