"""The wavelet transforms against PyWavelets and pytorch_wavelets, and the properties that the mathematics promises."""

import sys
import warnings

import numpy as np
import pytest
import pywt
import torch
from torch import Tensor
from torch.nn import functional as F

from wavemix.models import WaveMixBlock, haar_dwt, haar_idwt
from wavemix.models.wavelet import dwt, haar_ll, haar_then_pointwise, idwt, wavelet_filters

SHAPES = [(2, 3, 8, 12), (1, 1, 2, 2), (3, 5, 2, 6), (1, 2, 14, 4)]


def random(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def pywt_bands(x_bchw: Tensor, name: str = "haar") -> Tensor:
    ll, details = pywt.dwt2(x_bchw.double().numpy(), name, mode="zero")
    batch, channels, height, width = ll.shape
    return torch.from_numpy(
        np.concatenate((ll, np.stack(details, axis=2).reshape(batch, 3 * channels, height, width)), axis=1)
    )


def pywt_inverse(bands_bquv: Tensor, name: str) -> Tensor:
    batch, num_bands, height, width = bands_bquv.shape
    ll, details = bands_bquv[:, : num_bands // 4].numpy(), bands_bquv[:, num_bands // 4 :].numpy()
    ch, cv, cd = np.moveaxis(details.reshape(batch, num_bands // 4, 3, height, width), 2, 0)
    return torch.from_numpy(pywt.idwt2((ll, (ch, cv, cd)), name, mode="zero"))


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


def test_ll_alone() -> None:
    x_bchw = random(2, 3, 4, 6)
    torch.testing.assert_close(haar_ll(x_bchw), haar_dwt(x_bchw)[:, :3])
    narrow = haar_ll(torch.full((1, 1, 2, 2), 10_000.0, dtype=torch.float16))
    assert narrow.flatten().tolist() == [20_000]


@pytest.mark.parametrize("shape", [*SHAPES, (2, 4, 6, 2)])
@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
def test_transform_and_pointwise_convolution_in_one(
    shape: tuple[int, ...], with_bias: bool, memory_format: torch.memory_format
) -> None:
    x_bchw = random(*shape).contiguous(memory_format=memory_format).requires_grad_()
    weight = random(5, 4 * shape[1], 1, 1).requires_grad_()
    bias = random(5).requires_grad_() if with_bias else None
    inputs = [x_bchw, weight, *([bias] if with_bias else [])]

    result = haar_then_pointwise(x_bchw, weight, bias)
    expected = F.conv2d(haar_dwt(x_bchw), weight, bias)
    torch.testing.assert_close(result, expected, atol=1e-12, rtol=1e-12)
    upstream = random(*expected.shape)
    for found, wanted in zip(
        torch.autograd.grad(result, inputs, upstream), torch.autograd.grad(expected, inputs, upstream), strict=True
    ):
        torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-12)


# Table 13 of the paper.
TWELVE = ["db1", "db2", "db3", "db4", "db5", "bior1.3", "bior1.5", "rbio1.3", "coif1", "coif2", "sym2", "sym3"]
ANY_SHAPES = [
    pytest.param(shape, id="x".join(map(str, shape)))
    for shape in [(2, 3, 16, 24), (1, 2, 15, 9), (1, 2, 8, 11), (2, 1, 1, 1), (1, 2, 2, 3), (1, 1, 1, 6)]
]


@pytest.mark.parametrize("name", TWELVE)
@pytest.mark.parametrize("shape", ANY_SHAPES)
def test_any_wavelet_equals_pywavelets(name: str, shape: tuple[int, ...]) -> None:
    x_bchw, filters = random(*shape), wavelet_filters(name)
    bands = dwt(x_bchw, filters)
    torch.testing.assert_close(bands, pywt_bands(x_bchw, name), atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(idwt(bands, filters), pywt_inverse(bands, name), atol=1e-12, rtol=1e-12)
    arbitrary = random(*bands.shape)
    torch.testing.assert_close(idwt(arbitrary, filters), pywt_inverse(arbitrary, name), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", TWELVE)
@pytest.mark.parametrize("shape", ANY_SHAPES)
def test_any_wavelet_is_inverted(name: str, shape: tuple[int, ...]) -> None:
    x_bchw, filters = random(*shape), wavelet_filters(name)
    height, width = shape[2:]
    restored = idwt(dwt(x_bchw, filters), filters)
    assert restored.shape == (*shape[:2], height + height % 2, width + width % 2)
    torch.testing.assert_close(restored[..., :height, :width], x_bchw, atol=1e-10, rtol=0)


@pytest.fixture(scope="module")
def pytorch_wavelets():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports a deprecated module
        return pytest.importorskip("pytorch_wavelets")


@pytest.mark.parametrize("name", TWELVE)
@pytest.mark.parametrize("shape", [(2, 3, 16, 24), (1, 2, 15, 9)], ids=["even", "odd"])
def test_any_wavelet_equals_pytorch_wavelets(name: str, shape: tuple[int, ...], pytorch_wavelets) -> None:
    x_bchw, filters = random(*shape, dtype=torch.float32), wavelet_filters(name)
    bands = dwt(x_bchw, filters)
    ll, (details_bc3uv,) = pytorch_wavelets.DWTForward(J=1, wave=name, mode="zero")(x_bchw)
    torch.testing.assert_close(bands, torch.cat((ll, details_bc3uv.flatten(1, 2)), dim=1), atol=1e-5, rtol=1e-5)
    restored = pytorch_wavelets.DWTInverse(wave=name, mode="zero")((ll, [details_bc3uv]))
    torch.testing.assert_close(idwt(bands, filters), restored, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["haar", "db1"])
def test_the_general_transform_includes_haar(name: str) -> None:
    x_bchw, filters = random(2, 3, 6, 8), wavelet_filters(name)
    torch.testing.assert_close(dwt(x_bchw, filters), haar_dwt(x_bchw))
    torch.testing.assert_close(idwt(haar_dwt(x_bchw), filters), x_bchw)


@pytest.mark.parametrize("name", ["db2", "bior1.3"])
def test_gradients_of_any_wavelet(name: str) -> None:
    filters = wavelet_filters(name)
    assert torch.autograd.gradcheck(lambda x_bchw: dwt(x_bchw, filters), random(1, 2, 4, 5).requires_grad_())
    assert torch.autograd.gradcheck(lambda x_bchw: idwt(x_bchw, filters), random(1, 4, 4, 5).requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_any_wavelet_in_other_precisions(dtype: torch.dtype) -> None:
    x_bchw, filters = random(1, 2, 6, 8, dtype=dtype), wavelet_filters("db2")
    bands = dwt(x_bchw, filters)
    assert bands.dtype == idwt(bands, filters).dtype == dtype
    torch.testing.assert_close(bands.double(), pywt_bands(x_bchw, "db2"), atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("name", ["", "db99", "Haar", "haar2d", "morl"])
def test_an_unknown_wavelet_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"discrete wavelet of PyWavelets, got '{name}'"):
        wavelet_filters(name)


def test_without_pywavelets_haar_works_and_others_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywt", None)
    WaveMixBlock(8)
    with pytest.raises(ModuleNotFoundError, match=r"'db2' needs PyWavelets: pip install 'wavemix-train\[wavelets\]'"):
        wavelet_filters("db2")
    with pytest.raises(ModuleNotFoundError, match="PyWavelets"):
        WaveMixBlock(8, wavelet="db2")
