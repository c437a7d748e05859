"""Super-resolution: sizes, what happens to Y and what to Cb and Cr, and what is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wavemix.models import WaveMixSR, WaveMixSRV2, fuse_for_inference, layer_by_layer
from wavemix.models.wavemix_sr import enlarge


def one(**others: Any) -> WaveMixSR:
    torch.manual_seed(0)
    return WaveMixSR(**{"dim": 8, "depth": 2, "dropout": 0.0} | others).eval()


def staged(**others: Any) -> WaveMixSRV2:
    torch.manual_seed(0)
    return WaveMixSRV2(**{"dim": 8, "blocks": 1, "dropout": 0.0} | others).eval()


def images(*size: int) -> Tensor:
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))


def count(network: type[nn.Module], **arguments: Any) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in network(**arguments).parameters())


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_parameter_count_at_every_scale(scale: int) -> None:
    assert count(WaveMixSR, scale=scale) == 1_704_385  # 1.7M in the paper


@pytest.mark.parametrize(("scale", "stages"), [(2, 1), (4, 2), (8, 3)])
@pytest.mark.parametrize(("blocks", "num_parameters"), [(1, 484_309), (2, 780_985), (4, 1_374_337)])
def test_parameter_count_of_stages(scale: int, stages: int, blocks: int, num_parameters: int) -> None:
    assert count(WaveMixSRV2, scale=scale, blocks=blocks) == stages * num_parameters


SIZES = pytest.mark.parametrize("size", [(12, 16), (7, 9), (1, 1), (1, 13)], ids=str)
INTERPOLATIONS = pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])


@SIZES
@INTERPOLATIONS
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_any_size_is_enlarged(scale: int, interpolation: str, size: tuple[int, int]) -> None:
    with torch.no_grad():
        enlarged = one(scale=scale, interpolation=interpolation)(images(*size))
    assert enlarged.shape == (2, 3, scale * size[0], scale * size[1])
    expected = F.interpolate(images(*size), scale_factor=scale, mode=interpolation, align_corners=False)
    assert torch.equal(enlarged[:, 1:], expected[:, 1:]), "Cb and Cr are interpolated, and nothing else"
    assert not torch.allclose(enlarged[:, :1], expected[:, :1])


@SIZES
@INTERPOLATIONS
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_any_size_is_enlarged_in_stages(scale: int, interpolation: str, size: tuple[int, int]) -> None:
    with torch.no_grad():
        enlarged = staged(scale=scale, interpolation=interpolation)(images(*size))
    assert enlarged.shape == (2, 3, scale * size[0], scale * size[1])
    chroma = images(*size)[:, 1:]
    for _ in range({2: 1, 4: 2, 8: 3}[scale]):
        chroma = F.interpolate(chroma, scale_factor=2, mode=interpolation, align_corners=False)
    torch.testing.assert_close(enlarged[:, 1:], chroma, atol=1e-6, rtol=0)


@pytest.mark.parametrize("make", [one, staged])
def test_colours_do_not_change_the_brightness(make: Any) -> None:
    model, grey = make(scale=4), images(6, 8)
    coloured = torch.cat((grey[:, :1], 1 - grey[:, 1:]), dim=1)
    with torch.no_grad():
        assert torch.equal(model(grey)[:, :1], model(coloured)[:, :1])


def test_weights_serve_every_scale() -> None:
    first, second = one(scale=2), one(scale=4)
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        once_enlarged = enlarge(images(6, 8), 2, "bicubic")
        torch.testing.assert_close(second.luma(once_enlarged[:, :1]), first.luma(once_enlarged[:, :1]))


def test_stages_follow_each_other() -> None:
    """The first stage of four times is the network of two times."""
    four, two, rest = staged(scale=4), staged(scale=2), staged(scale=2)
    two.stages[0].load_state_dict(four.stages[0].state_dict())
    rest.stages[0].load_state_dict(four.stages[1].state_dict())
    with torch.no_grad():
        torch.testing.assert_close(four(images(5, 6)), rest(two(images(5, 6))))


def test_the_answer_is_what_the_layers_make() -> None:
    """No residual, no clamping: with a last layer of zeros and a bias, Y is that bias."""
    model = one()
    nn.init.zeros_(model.luma.tail[-1].weight)
    nn.init.constant_(model.luma.tail[-1].bias, 1.5)
    with torch.no_grad():
        brightness = model(images(9, 10))[:, :1]
    torch.testing.assert_close(brightness, torch.full_like(brightness, 1.5))


@pytest.mark.parametrize("make", [one, staged])
@pytest.mark.parametrize("form", [lambda model: model, layer_by_layer, fuse_for_inference])
def test_with_the_global_residual_an_untrained_network_is_the_interpolation(make: Any, form: Any) -> None:
    model, expected = make(scale=4, global_residual=True), images(9, 10)
    for scale in (4,) if make is one else (2, 2):
        expected = enlarge(expected, scale, "bicubic")
    with torch.no_grad():
        torch.testing.assert_close(form(model)(images(9, 10)), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("make", [one, staged])
def test_the_global_residual_can_be_trained_from_there(make: Any) -> None:
    model, target = make(global_residual=True).train(), enlarge(images(9, 10)[:, :1] / 2, 2, "bicubic")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(10):
        loss = (model(images(9, 10))[:, :1] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters() if parameter.ndim == 4)


@pytest.mark.parametrize("make", [one, staged])
def test_the_global_residual_changes_no_other_weight(make: Any) -> None:
    plain, residual = make().state_dict(), make(global_residual=True).state_dict()
    assert plain.keys() == residual.keys()
    changed = {name for name in plain if not torch.equal(plain[name], residual[name])}
    assert {name.partition("tail.")[2] for name in changed} == {"1.weight", "1.bias"}


@INTERPOLATIONS
def test_interpolation_is_the_one_asked_for(interpolation: str) -> None:
    x_bchw = images(6, 7)
    expected = F.interpolate(x_bchw, size=(18, 21), mode=interpolation, align_corners=False)
    torch.testing.assert_close(enlarge(x_bchw, 3, interpolation), expected, atol=1e-6, rtol=0)


def test_autocast_keeps_the_colours() -> None:
    model = one()
    with torch.no_grad():
        expected = model(images(6, 8))
        with torch.autocast("cpu", torch.bfloat16):
            found = model(images(6, 8))
    torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0.02)


@pytest.mark.parametrize(
    ("network", "changed", "message"),
    [
        (WaveMixSR, {"scale": 1}, "scale must be 2, 3 or 4, got 1"),
        (WaveMixSR, {"scale": 8}, "scale must be 2, 3 or 4, got 8"),
        (WaveMixSRV2, {"scale": 3}, "scale must be 2, 4 or 8, got 3"),
        (WaveMixSRV2, {"scale": 16}, "scale must be 2, 4 or 8, got 16"),
        (WaveMixSR, {"interpolation": "nearest"}, "'bicubic' or 'bilinear', got 'nearest'"),
        (WaveMixSRV2, {"interpolation": "area"}, "'bicubic' or 'bilinear', got 'area'"),
        (WaveMixSR, {"depth": 0}, "at least 1, got 0"),
        (WaveMixSRV2, {"blocks": 0}, "at least 1, got 0"),
        (WaveMixSR, {"dim": 10}, "multiple of 4.*got 10"),
        (WaveMixSRV2, {"dim": 10}, "multiple of 4.*got 10"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(network: type[nn.Module], changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**changed)
