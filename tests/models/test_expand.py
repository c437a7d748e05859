"""How a level's result comes back to the size above it."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wavemix.models.expand import build_expand, expand_channels
from wavemix.models.wavelet import dwt, haar_dwt, wavelet_filters


def built(expand: str, *, factor: int = 2, wavelet: str = "haar", ff_dim: int | None = None) -> tuple[int, nn.Module]:
    """For three channels out, in double precision."""
    num_in = expand_channels(expand, out_channels=3, ff_dim=ff_dim, default_ff_dim=5)
    module = build_expand(expand, in_channels=num_in, out_channels=3, factor=factor, wavelet=wavelet)
    return num_in, module.double()


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("size", [(1, 1), (3, 5)], ids=["1x1", "3x5"])
@pytest.mark.parametrize("factor", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("expand", ["deconv", "bilinear"])
def test_any_factor_gives_the_exact_size(expand: str, factor: int, size: tuple[int, int]) -> None:
    num_in, module = built(expand, factor=factor)
    assert module(random(2, num_in, *size)).shape == (2, 3, factor * size[0], factor * size[1])


@pytest.mark.parametrize(("factor", "kernel"), [(1, 3), (2, 4), (4, 6), (8, 10), (16, 18)])
def test_deconvolution_has_the_published_kernels(factor: int, kernel: int) -> None:
    num_in, module = built("deconv", factor=factor)
    assert num_in == 5
    assert {name: tuple(value.shape) for name, value in module.named_parameters()} == {
        "weight": (5, 3, kernel, kernel),
        "bias": (3,),
    }


@pytest.mark.parametrize("ff_dim", [1, 7, 40])
def test_deconvolution_takes_any_number_of_channels(ff_dim: int) -> None:
    num_in, module = built("deconv", ff_dim=ff_dim)
    assert num_in == ff_dim
    assert module(random(1, ff_dim, 2, 2)).shape == (1, 3, 4, 4)


def test_bilinear_interpolates() -> None:
    num_in, module = built("bilinear")
    x_bfuv = random(2, 3, 4, 5)
    assert num_in == 3
    assert not list(module.parameters())
    assert torch.equal(module(x_bfuv), F.interpolate(x_bfuv, scale_factor=2, mode="bilinear", align_corners=False))
    constant = torch.full((1, 3, 2, 2), 1.5, dtype=torch.float64)
    torch.testing.assert_close(module(constant), constant.new_full((1, 3, 4, 4), 1.5))


@pytest.mark.parametrize("name", ["haar", "db1"])
def test_idwt_inverts_haar(name: str) -> None:
    num_in, module = built("idwt", wavelet=name)
    x_bohw = random(2, 3, 6, 8)
    assert num_in == 12
    assert not list(module.parameters())
    torch.testing.assert_close(module(haar_dwt(x_bohw)), x_bohw)


@pytest.mark.parametrize("name", ["db2", "bior1.3", "coif1"])
@pytest.mark.parametrize("size", [(6, 8), (7, 9)], ids=["even", "odd"])
def test_idwt_inverts_other_wavelets(name: str, size: tuple[int, int]) -> None:
    num_in, module = built("idwt", wavelet=name)
    x_bohw = random(2, 3, *size)
    restored = module(dwt(x_bohw, wavelet_filters(name)))
    assert num_in == 12
    torch.testing.assert_close(restored[..., : size[0], : size[1]], x_bohw, atol=1e-10, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (3, 5)], ids=["1x1", "3x5"])
def test_pixel_shuffle(size: tuple[int, int]) -> None:
    num_in, module = built("pixel_shuffle")
    x_bfuv = random(2, 12, *size)
    weight, bias = module.parameters()
    assert num_in == 12
    assert weight.shape == (3, 3, 3, 3)
    # Channel 4k + 2i + j becomes the pixel in row i, column j of channel k.
    squares = x_bfuv.view(2, 3, 2, 2, *size).permute(0, 1, 4, 2, 5, 3).reshape(2, 3, 2 * size[0], 2 * size[1])
    torch.testing.assert_close(module(x_bfuv), F.conv2d(squares, weight, bias, padding=1))


@pytest.mark.parametrize(("expand", "num_in"), [("bilinear", 3), ("idwt", 12), ("pixel_shuffle", 12)])
def test_a_number_of_channels_that_does_not_fit_is_refused(expand: str, num_in: int) -> None:
    assert built(expand, ff_dim=num_in)[0] == num_in
    with pytest.raises(ValueError, match=f"'{expand}' takes {num_in} channels here, so ff_dim can't be 5"):
        built(expand, ff_dim=5)


@pytest.mark.parametrize("factor", [1, 4])
@pytest.mark.parametrize("expand", ["idwt", "pixel_shuffle"])
def test_a_factor_that_does_not_fit_is_refused(expand: str, factor: int) -> None:
    with pytest.raises(ValueError, match=f"'{expand}' doubles the size, .* factor of {factor}"):
        built(expand, factor=factor)


@pytest.mark.parametrize("expand", ["", "upsample", "nearest"])
def test_an_unknown_name_is_refused(expand: str) -> None:
    with pytest.raises(ValueError, match=f"'pixel_shuffle', got '{expand}'"):
        built(expand)
