"""The classifier: the authors' tensors, the parameter counts they state or publish, and what callers rely on."""

from typing import Any

import pytest
import torch

from wavemix.models import WaveMixClassifier

TINY = {"num_classes": 5, "dim": 8, "depth": 2}


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("cls_lite_strided_s1", {"stem": "strided", "stride": 1}),
        ("cls_L2_patch4", {"stem": "patchify", "patch_size": 4}),
        ("cls_L4_patch4", {"stem": "patchify", "patch_size": 4}),
    ],
)
def test_equals_the_authors_network(name: str, stem: dict[str, Any], reference, assert_parity) -> None:
    expected = reference(name)
    config = expected["config"]
    model = WaveMixClassifier(
        num_classes=config["num_classes"],
        dim=config["final_dim"],
        depth=config["depth"],
        levels=config["level"],
        mult=config["mult"],
        ff_dim=config["ff_channel"],
        dropout=0.0,
        **stem,
    )
    assert_parity(model, expected)


STRIDED_2: dict[str, Any] = {"stem": "strided", "stride": 2}
PATCHES: dict[str, Any] = {"stem": "patchify"}


@pytest.mark.parametrize(
    ("num_classes_dim_depth_levels", "others", "num_parameters"),
    [
        # WaveMix (arXiv 2205.14375), the tables
        pytest.param((10, 8, 5, 1), {"in_channels": 1}, 7_156, id="table5-fmnist"),
        pytest.param((10, 64, 6, 1), {}, 520_106, id="table5-cifar10"),
        pytest.param((365, 240, 12, 4), PATCHES, 41_626_565, id="table7-places365"),
        pytest.param((10, 144, 15, 1), {}, 6_408_982, id="table7-svhn"),
        pytest.param((1000, 256, 16, 1), PATCHES | {"patch_size": 5}, 22_411_880, id="table8-lite-256/16"),
        pytest.param((1000, 240, 12, 2), PATCHES, 23_782_480, id="table8-240/12"),
        pytest.param((1000, 224, 12, 3), PATCHES, 28_573_880, id="table8-224/12"),
        pytest.param((1000, 240, 12, 3), PATCHES, 32_781_040, id="table8-240/12-L3"),
        pytest.param((1000, 128, 8, 1), PATCHES | {"patch_size": 5}, 3_014_184, id="table9-lite-128/8"),
        pytest.param((1000, 128, 8, 1), STRIDED_2, 2_865_256, id="table9-lite-128/8-strided"),
        pytest.param((10, 16, 7, 1), {}, 38_550, id="table10-lite-16/7"),
        pytest.param((200, 16, 7, 1), {}, 41_780, id="table10-lite-16/7-tiny"),
        pytest.param((10, 144, 7, 1), {}, 3_042_550, id="table10-lite-144/7"),
        pytest.param((100, 256, 7, 1), {}, 9_625_380, id="table10-lite-256/7"),
        pytest.param((47, 128, 7, 1), {"in_channels": 1}, 2_408_591, id="table12-emnist-balanced"),
        pytest.param((10, 112, 16, 1), {"in_channels": 1}, 4_133_706, id="table12-emnist-digits"),
        # the published weights
        pytest.param((1000, 192, 16, 3), PATCHES, 27_857_608, id="imagenet-75.06"),
        pytest.param((1000, 256, 16, 3), PATCHES, 49_416_808, id="imagenet-73.03"),
        pytest.param((1000, 192, 16, 1), PATCHES, 12_494_536, id="imagenet-lite-71.18"),
        pytest.param((1000, 256, 16, 4), STRIDED_2, 62_764_776, id="imagenet-70.42"),
        pytest.param((365, 256, 12, 2), PATCHES | {"patch_size": 8}, 28_449_261, id="places365-54.94"),
        pytest.param((10, 320, 8, 1), {}, 17_073_610, id="cifar10-95.37"),
        pytest.param((100, 256, 8, 1), {}, 10_954_084, id="cifar100-77.82"),
        pytest.param((100, 256, 10, 1), {}, 13_611_492, id="cifar100-78.81"),
        pytest.param((200, 256, 12, 1), {}, 16_294_600, id="tinyimagenet-62.51"),
        pytest.param((200, 192, 16, 3), PATCHES, 27_703_208, id="tinyimagenet-71.69"),
        pytest.param((10, 192, 16, 3), PATCHES, 27_666_538, id="galaxy10-95.42"),
        pytest.param((10, 192, 16, 1), PATCHES, 12_303_466, id="galaxy10-90.23"),
    ],
)
def test_parameter_count(
    num_classes_dim_depth_levels: tuple[int, int, int, int], others: dict[str, Any], num_parameters: int
) -> None:
    num_classes, dim, depth, levels = num_classes_dim_depth_levels
    with torch.device("meta"):
        model = WaveMixClassifier(num_classes=num_classes, dim=dim, depth=depth, levels=levels, **others)
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters


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
        torch.testing.assert_close(model(images)[1], torch.tensor(golden, dtype=torch.float64), atol=1e-9, rtol=1e-9)


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


def test_a_batch_of_one_trains() -> None:
    model = WaveMixClassifier(**TINY)
    model(torch.randn(1, 3, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_one_seed_gives_one_network() -> None:
    def gradients() -> list[torch.Tensor]:
        torch.manual_seed(3)
        model = WaveMixClassifier(**TINY, levels=2, dropout=0.5, stem="patchify")
        model(torch.randn(2, 3, 16, 16)).square().mean().backward()
        return [parameter.grad for parameter in model.parameters()]

    for first, second in zip(gradients(), gradients(), strict=True):
        assert torch.equal(first, second)


def test_state_dict_round_trip() -> None:
    images = torch.randn(4, 3, 16, 16)
    first = WaveMixClassifier(**TINY, levels=2, stem="patchify")
    first(images)  # moves the batch statistics
    second = WaveMixClassifier(**TINY, levels=2, stem="patchify")
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.eval()(images), second.eval()(images))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stem": "stride"}, "'strided' or 'patchify', got 'stride'"),
        ({"levels": 7}, "1, 2, 3 or 4, got 7"),
        ({"levels": 0}, "1, 2, 3 or 4, got 0"),
        ({"dim": 18}, "multiple of 4.*got 18"),
        ({"depth": 0}, "at least 1, got 0"),
    ],
)
def test_unknown_arguments_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WaveMixClassifier(**TINY | changed)


@pytest.mark.parametrize("stem", ["strided", "patchify"])
def test_compiles_in_one_graph(stem: str) -> None:
    model = WaveMixClassifier(**TINY, levels=2, stem=stem).eval()
    images = torch.randn(2, 3, 20, 20)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(images), model(images))


@pytest.mark.parametrize("stem", ["strided", "patchify"])
def test_exports_with_any_batch_size(stem: str) -> None:
    model = WaveMixClassifier(**TINY, levels=3, stem=stem).eval()
    images = torch.randn(2, 3, 20, 24)
    batch = torch.export.Dim("batch", min=1)
    exported = torch.export.export(model, (images,), dynamic_shapes=({0: batch},)).module()
    for num_images in (1, 2, 5):
        images = torch.randn(num_images, 3, 20, 24)
        torch.testing.assert_close(exported(images), model(images))


def test_channels_last_gives_the_same() -> None:
    torch.manual_seed(0)
    model = WaveMixClassifier(**TINY, levels=2, stem="patchify").eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model(images)
        model.to(memory_format=torch.channels_last)
        torch.testing.assert_close(model(images.to(memory_format=torch.channels_last)), expected)
