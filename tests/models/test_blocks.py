"""The WaveMix block against the authors' tensors, and against its definition written out with PyWavelets and numpy."""

import math

import numpy as np
import pytest
import pywt
import torch
from numpy.typing import NDArray
from torch import nn

from wavemix.models import WaveMixBlock, blocks, haar_dwt

Array = NDArray[np.float64]


def test_equals_the_authors_block(reference, assert_parity) -> None:
    expected = reference("block_L2")
    config = expected["config"]
    assert_parity(
        WaveMixBlock(config["final_dim"], levels=2, mult=config["mult"], ff_dim=config["ff_channel"]), expected
    )


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_equals_its_definition(levels: int, fill) -> None:
    block = WaveMixBlock(8, levels=levels, mult=3, ff_dim=6, dropout=0.5).double().eval()
    fill(block)
    x_bdhw = torch.sin(torch.arange(2 * 8 * 16 * 32, dtype=torch.float64) * 0.3).view(2, 8, 16, 32)
    weights = {name: value.numpy() for name, value in block.state_dict().items()}
    expected = block_by_definition(x_bdhw.numpy(), weights, levels)
    with torch.no_grad():
        np.testing.assert_allclose(block(x_bdhw).numpy(), expected, rtol=1e-10, atol=1e-12)


def block_by_definition(x_bdhw: Array, weights: dict[str, Array], levels: int) -> Array:
    reduced = conv1x1(x_bdhw, weights["reduce.weight"], weights["reduce.bias"])
    mixed = np.zeros((len(x_bdhw), 0, x_bdhw.shape[2] >> levels, x_bdhw.shape[3] >> levels))
    for level in range(levels, 0, -1):
        ll, details = reduced, ()
        for _ in range(level):
            ll, details = pywt.dwt2(ll, "haar", mode="zero")
        interleaved = np.stack(details, axis=2).reshape(len(ll), -1, *ll.shape[2:])
        own = {
            key.removeprefix(f"feedforwards.{level - 1}."): value
            for key, value in weights.items()
            if key.startswith(f"feedforwards.{level - 1}.")
        }
        hidden = conv1x1(np.concatenate((ll, interleaved, mixed), axis=1), own["expand.weight"], own["expand.bias"])
        hidden = hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
        hidden = conv1x1(hidden, own["project.weight"], own["project.bias"])
        mixed = twice_the_size(hidden, own["upsample.weight"], own["upsample.bias"])
        scale = own["norm.weight"] / np.sqrt(own["norm.running_var"] + 1e-5)
        mixed = (mixed - column(own["norm.running_mean"])) * column(scale) + column(own["norm.bias"])
    return mixed


def conv1x1(x: Array, weight: Array, bias: Array) -> Array:
    return np.einsum("bihw,oi->bohw", x, weight[:, :, 0, 0]) + column(bias)


def twice_the_size(x: Array, weight: Array, bias: Array) -> Array:
    """Each input pixel paints a 4x4 patch, two pixels apart; one pixel is cut off all around."""
    batch, _, height, width = x.shape
    canvas = np.zeros((batch, weight.shape[1], 2 * height + 2, 2 * width + 2))
    for row in range(height):
        for col in range(width):
            patch = np.einsum("bi,ioyx->boyx", x[:, :, row, col], weight)
            canvas[:, :, 2 * row : 2 * row + 4, 2 * col : 2 * col + 4] += patch
    return canvas[:, :, 1:-1, 1:-1] + column(bias)


def column(values: Array) -> Array:
    return values[:, None, None]


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(7, 7), (17, 24), (1, 1), (32, 5)])
def test_any_size_is_padded_with_zeros_and_cropped(levels: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    block = WaveMixBlock(8, levels=levels).eval()
    x_bdhw = torch.randn(2, 8, height, width)
    padded = torch.zeros(2, 8, 32, 32)[..., : math.ceil(height / 2**levels) * 2**levels, :]
    padded = padded[..., : math.ceil(width / 2**levels) * 2**levels].clone()
    padded[..., :height, :width] = x_bdhw
    with torch.no_grad():
        mixed = block(x_bdhw)
        assert mixed.shape == x_bdhw.shape
        torch.testing.assert_close(mixed, block(padded)[..., :height, :width])


def test_each_level_is_transformed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = []

    def counted(x_bchw: torch.Tensor) -> torch.Tensor:
        sides.append(x_bchw.shape[-1])
        return haar_dwt(x_bchw)

    monkeypatch.setattr(blocks, "haar_dwt", counted)
    WaveMixBlock(8, levels=4)(torch.randn(1, 8, 32, 32))
    assert sides == [32, 16, 8, 4]


def test_dropout_is_the_hidden_one_and_only_in_training() -> None:
    block = WaveMixBlock(8, levels=2, dropout=0.5)
    assert [module.p for module in block.modules() if isinstance(module, nn.Dropout)] == [0.5, 0.5]
    x_bdhw = torch.randn(1, 8, 8, 8)
    assert not torch.equal(block(x_bdhw), block(x_bdhw))
    block.eval()
    assert torch.equal(block(x_bdhw), block(x_bdhw))


@pytest.mark.parametrize("dim", [0, 2, 10, 30, -4])
def test_unfit_dim_is_refused(dim: int) -> None:
    with pytest.raises(ValueError, match=f"multiple of 4.*got {dim}"):
        WaveMixBlock(dim)


@pytest.mark.parametrize("levels", [0, 5, -1])
def test_unknown_levels_are_refused(levels: int) -> None:
    with pytest.raises(ValueError, match=f"1, 2, 3 or 4, got {levels}"):
        WaveMixBlock(8, levels=levels)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions(dtype: torch.dtype) -> None:
    block = WaveMixBlock(8, levels=2).to(dtype)
    x_bdhw = torch.randn(2, 8, 8, 8, dtype=dtype, requires_grad=True)
    block(x_bdhw).sum().backward()
    assert x_bdhw.grad is not None
    assert x_bdhw.grad.dtype == dtype


def test_trains_under_autocast() -> None:
    torch.manual_seed(0)
    block = WaveMixBlock(8, levels=2)
    x_bdhw = torch.randn(2, 8, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = block(x_bdhw)
    mixed.float().square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in block.parameters())
    torch.testing.assert_close(mixed.float(), block(x_bdhw), atol=0.1, rtol=0.1)
