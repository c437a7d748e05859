"""Counting: by hand for single layers, against known totals for whole networks."""

import pytest
import torch
from torch import nn

from wavemix.models.count import count_parameters, multiply_adds, multiply_adds_by_module, torchinfo_multiply_adds
from wavemix.models.fuse import layer_by_layer
from wavemix.models.zoo import ZOO, build_model


def build_on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return build_model(name)


@pytest.mark.parametrize(
    ("layer", "shape", "by_hand"),
    [
        pytest.param(nn.Conv2d(3, 8, 3, padding=1), (2, 3, 10, 12), 2 * 10 * 12 * 8 * 3 * 9, id="conv"),
        pytest.param(nn.Conv2d(3, 8, 3, stride=2, padding=1), (1, 3, 10, 12), 5 * 6 * 8 * 3 * 9, id="stride"),
        pytest.param(nn.Conv2d(8, 8, 5, padding=2, groups=8), (1, 8, 6, 6), 36 * 8 * 25, id="depthwise"),
        # Each input meets each weight once: at the 30 positions of the input, not the 120 of the output.
        pytest.param(nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1), (1, 8, 5, 6), 30 * 8 * 4 * 16, id="deconv"),
        pytest.param(nn.ConvTranspose2d(8, 4, 18, stride=16, padding=1), (1, 8, 2, 2), 4 * 8 * 4 * 324, id="deconv-16"),
        pytest.param(nn.Linear(7, 5), (3, 7), 3 * 7 * 5, id="linear"),
        pytest.param(nn.BatchNorm2d(4), (1, 4, 6, 6), 0, id="norm"),
        pytest.param(nn.Upsample(scale_factor=2, mode="bicubic"), (1, 4, 6, 6), 0, id="interpolation"),
    ],
)
def test_multiply_adds_by_hand(layer: nn.Module, shape: tuple[int, ...], by_hand: int) -> None:
    assert multiply_adds(layer, shape) == by_hand


def test_torchinfo_by_hand() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),  # 224 parameters at 10x12
        nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1),  # 516 at 20x24: four times what is done
        nn.BatchNorm2d(4),  # 8 per image
        nn.Flatten(),
        nn.Linear(4 * 20 * 24, 5),  # 9,605 per image
    )
    assert torchinfo_multiply_adds(model, (2, 3, 10, 12)) == 2 * (224 * 120 + 516 * 480 + 8 + 9_605)


# The numbers of torchinfo 1.8.0 for these networks; the paper of WaveMixSR prints 25.8 G.
@pytest.mark.parametrize(
    ("name", "size", "by_torchinfo", "true"),
    [
        ("wavemix_sr_x2", 64, 25_853_183_104, 9_524_477_952),
        ("wavemix_sr_x2", 32, 6_463_296_640, 2_381_119_488),
        ("wavemix_sr_x2", 128, 103_412_728_960, 38_097_911_808),
        ("wavemix_sr_x3", 64, 58_169_660_544, 21_430_075_392),
        ("wavemix_sr_x4", 64, 103_412_728_960, 38_097_911_808),
        ("wavemix_sr_v2_x2", 64, 10_220_487_232, 10_203_955_200),
        ("wavemix_lite_8_5", 28, 4_653_994, 1_571_216),
    ],
)
def test_whole_networks(name: str, size: int, by_torchinfo: int, true: int) -> None:
    model = build_on_meta(name)
    shape = (1, ZOO[name].benchmark.inputs[0][0], size, size)
    assert torchinfo_multiply_adds(model, shape) == by_torchinfo
    assert multiply_adds(layer_by_layer(model), shape) == true
    assert multiply_adds(layer_by_layer(model), (3, *shape[1:])) == 3 * true


def test_layer_by_layer_of_the_smallest_classifier_by_hand() -> None:
    """WaveMix-Lite-8/5 at 28x28: two stem convolutions, five blocks, the head."""
    fine, coarse = 28 * 28, 14 * 14
    block = fine * 8 * 2 + coarse * (8 * 16 + 16 * 8 + 8 * 8 * 16)
    by_hand = fine * (1 * 4 * 9 + 4 * 8 * 9) + 5 * block + 8 * 10
    assert multiply_adds(layer_by_layer(build_on_meta("wavemix_lite_8_5")), (1, 1, 28, 28)) == by_hand


@pytest.mark.parametrize("name", ["wavemix_128_8_l3", "wavemix_sr_x2", "wavepaint_2"])
def test_composed_layers_take_fewer(name: str) -> None:
    model, shapes = build_on_meta(name), ZOO[name].benchmark.input_shapes
    assert 0 < multiply_adds(model, *shapes) < multiply_adds(layer_by_layer(model), *shapes)


def test_modules_add_up() -> None:
    by_module = multiply_adds_by_module(build_on_meta("wavemix_lite_16_7"), (1, 3, 32, 32))
    assert by_module[""] == by_module["stem"] + sum(by_module[f"blocks.{i}"] for i in range(7)) + by_module["head"]
    assert len({by_module[f"blocks.{i}"] for i in range(7)}) == 1


def test_the_model_stays_as_it_is() -> None:
    model = build_model("wavemix_lite_8_5").double().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    multiply_adds(model, (1, 1, 28, 28))
    torchinfo_multiply_adds(model, (1, 1, 28, 28))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_count_parameters_leaves_out_buffers() -> None:
    assert count_parameters(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))) == 3 * 4 + 4 + 4 + 4
