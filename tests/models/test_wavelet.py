"""The Haar transform against PyWavelets, and the properties that the mathematics promises."""

import numpy as np
import pytest
import pywt
import torch
from torch import Tensor

from wavemix.models import haar_dwt, haar_idwt

SHAPES = [(2, 3, 8, 12), (1, 1, 2, 2), (3, 5, 2, 6), (1, 2, 14, 4)]


def random(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def pywt_bands(x_bchw: Tensor) -> Tensor:
    ll, details = pywt.dwt2(x_bchw.double().numpy(), "haar", mode="zero")
    batch, channels, height, width = ll.shape
    return torch.from_numpy(
        np.concatenate((ll, np.stack(details, axis=2).reshape(batch, 3 * channels, height, width)), axis=1)
    )


def test_one_square_by_hand() -> None:
    bands = haar_dwt(torch.tensor([[[[1.0, 2.0], [4.0, 8.0]]]]))
    assert bands.flatten().tolist() == [7.5, -4.5, -2.5, 1.5]  # ll, top - bottom, left - right, diagonal


def test_details_are_interleaved_per_channel() -> None:
    x_bchw = torch.zeros(1, 3, 2, 2)
    x_bchw[0, 1] = torch.tensor([[1.0, 2.0], [4.0, 8.0]])
    assert haar_dwt(x_bchw).flatten().tolist() == [0, 7.5, 0, 0, 0, 0, -4.5, -2.5, 1.5, 0, 0, 0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-14), (torch.float32, 1e-6), (torch.float16, 4e-3), (torch.bfloat16, 3e-2)],
)
def test_equals_pywavelets(shape: tuple[int, ...], dtype: torch.dtype, tolerance: float) -> None:
    x_bchw = random(*shape, dtype=dtype)
    bands = haar_dwt(x_bchw)
    assert bands.dtype == dtype
    torch.testing.assert_close(bands.double(), pywt_bands(x_bchw), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("name", ["dwt_db1_J1_zero", "dwt_db1_J3_zero"])
def test_equals_the_authors_transform(name: str, reference) -> None:
    expected = reference(name)
    (ll,) = expected["inputs"]
    for highs_bc3hw in expected["highs"]:
        channels = ll.shape[1]
        bands = haar_dwt(ll)
        ll = bands[:, :channels]
        torch.testing.assert_close(bands[:, channels:], highs_bc3hw.flatten(1, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(ll, expected["low"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_inverse_and_energy(shape: tuple[int, ...]) -> None:
    x_bchw = random(*shape)
    bands = haar_dwt(x_bchw)
    torch.testing.assert_close(haar_idwt(bands), x_bchw)
    torch.testing.assert_close(haar_dwt(haar_idwt(bands)), bands)
    torch.testing.assert_close(bands.square().sum(), x_bchw.square().sum())


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own forward mode still uses it
@pytest.mark.parametrize("transform", [haar_dwt, haar_idwt])
def test_gradients(transform) -> None:
    x_bchw = random(2, 4, 4, 6).requires_grad_()
    assert torch.autograd.gradcheck(transform, x_bchw, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(transform, x_bchw)


def test_the_gradient_is_the_inverse() -> None:
    x_bchw, upstream = random(2, 3, 4, 6).requires_grad_(), random(2, 12, 2, 3)
    haar_dwt(x_bchw).backward(upstream)
    torch.testing.assert_close(x_bchw.grad, haar_idwt(upstream))


def test_float16_reaches_its_whole_range() -> None:
    # The sum of the four values does not fit into float16, half of it does.
    assert haar_dwt(torch.full((1, 1, 2, 2), 30_000.0, dtype=torch.float16)).flatten().tolist() == [60_000, 0, 0, 0]


@pytest.mark.parametrize("transform", [haar_dwt, haar_idwt])
def test_any_memory_format(transform) -> None:
    x_bchw = random(2, 8, 4, 6)
    expected = transform(x_bchw)
    assert torch.equal(transform(x_bchw.to(memory_format=torch.channels_last)), expected)
    assert torch.equal(transform(x_bchw.mT.contiguous().mT), expected)
    assert torch.equal(transform(random(2, 16, 4, 6)[:, ::2]), transform(random(2, 16, 4, 6)[:, ::2].contiguous()))


def test_input_is_left_alone() -> None:
    x_bchw = random(1, 4, 4, 4)
    before = x_bchw.clone()
    haar_dwt(x_bchw)
    haar_idwt(x_bchw)
    assert torch.equal(x_bchw, before)


@pytest.mark.parametrize(("height", "width"), [(3, 4), (4, 5), (1, 1)])
def test_odd_sides_are_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match=f"even sides, got {height}x{width}"):
        haar_dwt(torch.zeros(1, 1, height, width))


def test_incomplete_sub_bands_are_refused() -> None:
    with pytest.raises(ValueError, match="got 6 channels"):
        haar_idwt(torch.zeros(1, 6, 2, 2))


@pytest.mark.parametrize("transform", [haar_dwt, haar_idwt])
def test_compiles_in_one_graph(transform) -> None:
    x_bchw = random(2, 4, 4, 6)
    assert torch.equal(torch.compile(transform, backend="eager", fullgraph=True)(x_bchw), transform(x_bchw))


@pytest.mark.parametrize("transform", [haar_dwt, haar_idwt])
def test_autocast_and_vmap(transform) -> None:
    x_bchw = random(2, 4, 4, 6, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(transform(x_bchw), transform(x_bchw.clone()))
        assert transform(x_bchw).dtype == torch.float32
    assert torch.equal(torch.func.vmap(transform)(x_bchw[:, None])[:, 0], transform(x_bchw))
