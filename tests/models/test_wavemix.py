"""The classifier and the segmenter: the parameter counts of the authors' code, and what callers rely on."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from wavemix.models import WaveMixClassifier, WaveMixSegmenter

TINY = {"num_classes": 5, "dim": 8, "depth": 2}
STRIDED_2: dict[str, Any] = {"stem": "strided", "stride": 2}
PATCHES: dict[str, Any] = {"stem": "patchify"}


def count(network: type[torch.nn.Module], *num_classes_dim_depth_levels: int, **others: Any) -> int:
    names = ("num_classes", "dim", "depth", "levels")
    with torch.device("meta"):
        model = network(**dict(zip(names, num_classes_dim_depth_levels, strict=True)), **others)
    return sum(parameter.numel() for parameter in model.parameters())


# One for each way to build it; the zoo's tests have all that were printed or published.
@pytest.mark.parametrize(
    ("arguments", "others", "num_parameters"),
    [
        pytest.param((10, 8, 5, 1), {"in_channels": 1}, 7_156, id="table5-fmnist"),
        pytest.param((10, 8, 10, 1), {"in_channels": 1, "expand": "bilinear"}, 3_566, id="table5-mnist"),
        pytest.param((10, 32, 7, 1), {"expand": "bilinear"}, 37_058, id="table5-cifar10"),
        pytest.param((365, 240, 12, 4), PATCHES, 41_626_565, id="table7-places365"),
        pytest.param((1000, 192, 16, 3), PATCHES | {"head_dim": 1024}, 28_887_240, id="table8-192/16-head"),
        pytest.param((1000, 256, 16, 1), PATCHES | {"patch_size": 5}, 22_411_880, id="table8-lite-256/16"),
        pytest.param((1000, 128, 8, 1), STRIDED_2, 2_865_256, id="table9-lite-128/8-strided"),
        pytest.param((200, 16, 7, 1), {}, 41_780, id="table10-lite-16/7"),
        pytest.param((1000, 192, 16, 3), PATCHES, 27_857_608, id="imagenet-75.06"),
        pytest.param((1000, 256, 16, 4), STRIDED_2, 62_764_776, id="imagenet-70.42"),
        pytest.param((365, 256, 12, 2), PATCHES | {"patch_size": 8}, 28_449_261, id="places365-54.94"),
    ],
)
def test_parameter_count(arguments: tuple[int, ...], others: dict[str, Any], num_parameters: int) -> None:
    assert count(WaveMixClassifier, *arguments, **others) == num_parameters


@pytest.mark.parametrize(
    ("arguments", "others", "num_parameters"),
    [
        pytest.param((20, 256, 16, 4), {}, 63_164_628, id="table1-256/16"),
        pytest.param((20, 128, 8, 1), {}, 2_900_852, id="table6-lite-128/8"),
        pytest.param((20, 256, 16, 1), {"ff_dim": 512, "mult": 3}, 44_243_156, id="table6-ff512-m3"),
        pytest.param((20, 192, 16, 3), PATCHES | {"decoder_dims": (128, 64)}, 28_190_388, id="cityscapes-83.04"),
    ],
)
def test_parameter_count_of_the_segmenter(
    arguments: tuple[int, ...], others: dict[str, Any], num_parameters: int
) -> None:
    assert count(WaveMixSegmenter, *arguments, **others) == num_parameters


@pytest.mark.parametrize(
    ("stem", "golden"),
    [
        (
            {"stem": "strided", "stride": 2, "in_channels": 1},
            [0.909792383078, 0.662733040681, 0.120051786414, -0.471127428647, -0.844446212641],
        ),
        (
            {"stem": "patchify", "patch_size": 2},
            [0.264038818228, -0.0835864679842, -0.388244636605, -0.512259909752, -0.402038317439],
        ),
    ],
)
def test_golden_logits(stem: dict[str, Any], golden: list[float], fill) -> None:
    model = WaveMixClassifier(**TINY, levels=2, mult=3, ff_dim=6, **stem).double().eval()
    fill(model)
    size = (2, stem.get("in_channels", 3), 20, 28)
    images = torch.sin(torch.arange(torch.Size(size).numel(), dtype=torch.float64) * 0.3).view(size)
    with torch.no_grad():
        torch.testing.assert_close(model(images)[1], torch.tensor(golden, dtype=torch.float64), atol=1e-11, rtol=0)


@pytest.mark.parametrize(
    ("stem", "size", "feature_size"),
    [
        ({"stem": "strided"}, (28, 28), (28, 28)),
        ({"stem": "strided"}, (33, 31), (33, 31)),
        ({"stem": "strided", "stride": 2}, (30, 47), (8, 12)),
        ({"stem": "patchify"}, (50, 31), (12, 7)),
        ({"stem": "patchify", "patch_size": 5}, (24, 25), (4, 5)),
    ],
)
def test_any_image_size(stem: dict[str, Any], size: tuple[int, int], feature_size: tuple[int, int]) -> None:
    model = WaveMixClassifier(**TINY, levels=3, **stem)
    features = model.forward_features(torch.randn(2, 3, *size))
    assert features.shape == (2, 8, *feature_size)
    assert model.forward_head(features).shape == (2, 5)


def test_a_batch_of_one_scores_as_in_a_larger_batch() -> None:
    torch.manual_seed(0)
    model = WaveMixClassifier(**TINY, levels=2).eval()
    images = torch.randn(3, 3, 12, 12)
    with torch.no_grad():
        torch.testing.assert_close(model(images[1:2]), model(images)[1:2])
        assert torch.equal(model(images), model.forward_head(model.forward_features(images)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stem": "stride"}, "'strided' or 'patchify', got 'stride'"),
        ({"levels": 7}, "1, 2, 3 or 4, got 7"),
        ({"levels": 0}, "1, 2, 3 or 4, got 0"),
        ({"dim": 18}, "multiple of 4.*got 18"),
        ({"depth": 0}, "at least 1, got 0"),
        ({"expand": "nearest"}, "expand must be .*got 'nearest'"),
        ({"mixer": "dft"}, "mixer must be .*got 'dft'"),
        ({"wavelet": "db99"}, "wavelet must be .*got 'db99'"),
        ({"mixer": "fourier", "levels": 2}, "'fourier' keeps the size"),
    ],
)
@pytest.mark.parametrize("network", [WaveMixClassifier, WaveMixSegmenter])
def test_unknown_arguments_are_refused(network: type[torch.nn.Module], changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**TINY | changed)


@pytest.mark.parametrize("in_channels", [1, 4])
@pytest.mark.parametrize("stem", ["strided", "patchify"])
def test_images_of_any_number_of_channels(stem: str, in_channels: int) -> None:
    images = torch.randn(2, in_channels, 16, 20)
    others = {"stem": stem, "in_channels": in_channels, "levels": 2}
    assert WaveMixClassifier(**TINY, **others)(images).shape == (2, 5)
    assert WaveMixSegmenter(**TINY, **others)(images).shape == (2, 5, 16, 20)


def test_the_extra_layer_of_the_head() -> None:
    torch.manual_seed(0)
    model = WaveMixClassifier(**TINY, head_dim=12).double().eval()
    features = model.forward_features(torch.randn(2, 3, 9, 11, dtype=torch.float64))
    expected = model.head(F.conv2d(features, model.final.weight, model.final.bias).mean((2, 3)))
    assert model.head.in_features == 12
    torch.testing.assert_close(model.forward_head(features), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("stem", ["strided", "patchify"])
def test_features_are_channels_last(stem: str) -> None:
    for network in (WaveMixClassifier, WaveMixSegmenter):
        features = network(**TINY, stem=stem, levels=2).forward_features(torch.randn(2, 3, 32, 32))
        assert features.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [(64, 64), (33, 31), (50, 70), (5, 4), (1, 1), (1, 67)], ids=str)
@pytest.mark.parametrize("stem", ["strided", "patchify"])
@pytest.mark.parametrize("levels", [1, 4])
def test_every_pixel_has_scores_at_any_size(levels: int, stem: str, size: tuple[int, int]) -> None:
    model = WaveMixSegmenter(**TINY, levels=levels, stem=stem).eval()
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        logits = model(images)
        features = model.forward_features(images)
        whole = model.forward_head(features)
    height, width = size
    assert logits.shape == (2, 5, height, width)
    assert features.shape == (2, 8, -(-height // 4), -(-width // 4))
    assert torch.equal(logits, whole[..., :height, :width])
    assert logits.isfinite().all()


@pytest.mark.parametrize("size", [(30, 45), (7, 8), (1, 1)], ids=str)
def test_patches_that_images_do_not_fill_are_filled_with_zeros(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = WaveMixSegmenter(**TINY, levels=2, stem="patchify").eval()
    images = torch.randn(2, 3, *size)
    filled = F.pad(images, (0, -size[1] % 4, 0, -size[0] % 4))
    with torch.no_grad():
        torch.testing.assert_close(model(images), model(filled)[..., : size[0], : size[1]])


def test_stochastic_depth_grows_with_the_depth() -> None:
    def probs(**others: Any) -> list[float]:
        return [block.drop_path for block in WaveMixClassifier(num_classes=5, dim=8, **others).blocks]

    assert probs(depth=5, drop_path=0.2) == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2])
    assert probs(depth=1, drop_path=0.2) == [0.0]
    assert probs(depth=3) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        pytest.param({"stride": 1}, (80, 96), id="stride-1"),
        pytest.param({"stride": 3}, (12, 12), id="stride-3"),
        pytest.param({"stem": "patchify", "patch_size": 2}, (40, 48), id="patches-of-2"),
        pytest.param({"stem": "patchify", "patch_size": 8}, (12, 12), id="patches-of-8"),
    ],
)
def test_a_stem_that_does_not_quarter_the_size(stem: dict[str, Any], expected: tuple[int, int]) -> None:
    """The decoder multiplies by 4, whatever the stem has divided by."""
    model = WaveMixSegmenter(**TINY, levels=1, **stem).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, 20, 24)).shape == (1, 5, *expected)


def test_widths_of_the_decoder() -> None:
    assert [layer.out_channels for layer in WaveMixSegmenter(**TINY).decoder] == [4, 2, 5]
    model = WaveMixSegmenter(**TINY, decoder_dims=(7, 3))
    assert [layer.out_channels for layer in model.decoder] == [7, 3, 5]
    assert model(torch.randn(1, 3, 64, 64)).shape == (1, 5, 64, 64)


def test_a_segmenter_of_many_classes() -> None:
    model = WaveMixSegmenter(num_classes=150, dim=8, depth=1, levels=1)
    assert model(torch.randn(1, 3, 16, 16)).shape == (1, 150, 16, 16)
