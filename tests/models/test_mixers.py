"""What stands in the wavelet transform's place: each mixer by its definition."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from wavemix.models import WaveMixBlock, haar_dwt
from wavemix.models.mixers import MIXERS, PROPORTIONS, build_mixer

NAMES = ["dwt", "none", "fourier", "random", "maxpool", "lifting"]


def random(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def test_all_are_tested() -> None:
    assert set(NAMES) == MIXERS.keys() == PROPORTIONS.keys()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dwt", (2, 12, 4, 5)),
        ("none", (2, 3, 8, 10)),
        ("fourier", (2, 3, 8, 10)),
        ("random", (2, 12, 4, 5)),
        ("maxpool", (2, 3, 4, 5)),
        ("lifting", (2, 12, 4, 5)),
    ],
)
def test_shape_and_dtype(name: str, expected: tuple[int, ...], dtype: torch.dtype) -> None:
    mixer = build_mixer(name, "haar").to(dtype)
    mixed = mixer(random(2, 3, 8, 10, dtype=dtype))
    assert mixed.shape == expected
    assert mixed.dtype == dtype
    num_bands, divisor = PROPORTIONS[name]
    assert expected == (2, 3 * num_bands, 8 // divisor, 10 // divisor)


@pytest.mark.parametrize("name", NAMES)
def test_memory_format_makes_no_difference(name: str) -> None:
    mixer, x_bchw = build_mixer(name, "haar").double(), random(2, 4, 6, 8)
    torch.testing.assert_close(mixer(x_bchw.contiguous(memory_format=torch.channels_last)), mixer(x_bchw))


@pytest.mark.parametrize("name", NAMES)
def test_gradients(name: str) -> None:
    mixer = build_mixer(name, "haar").double()
    assert torch.autograd.gradcheck(mixer, random(1, 2, 4, 6).requires_grad_())


@pytest.mark.parametrize("wavelet", ["haar", "db1"])
def test_dwt_is_haar_by_both_names(wavelet: str) -> None:
    x_bchw = random(2, 3, 4, 6)
    assert torch.equal(build_mixer("dwt", wavelet)(x_bchw), haar_dwt(x_bchw))


def test_none_changes_nothing() -> None:
    x_bchw = random(2, 3, 5, 7)
    assert torch.equal(build_mixer("none", "haar")(x_bchw), x_bchw)


def test_maxpool_takes_the_largest_of_a_square() -> None:
    x_bchw = torch.tensor([[1.0, 2, 0, -1], [4, 3, -2, -3], [9, 5, 7, 7], [6, 8, 7, 7]]).view(1, 1, 4, 4)
    assert build_mixer("maxpool", "haar")(x_bchw).flatten().tolist() == [4, 0, 9, 7]


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (1, 8)], ids=lambda size: "x".join(map(str, size)))
def test_fourier_is_the_real_part_of_the_orthonormal_transform(size: tuple[int, int]) -> None:
    x_bchw = random(2, 3, *size)
    expected = np.fft.fft2(x_bchw.numpy(), norm="ortho").real
    np.testing.assert_allclose(build_mixer("fourier", "haar")(x_bchw).numpy(), expected, atol=1e-12)


def random_filters() -> Tensor:
    """What the mixer makes of single pixels: ``[filter, position]``."""
    return build_mixer("random", "haar").double()(torch.eye(4, dtype=torch.float64).view(4, 1, 2, 2)).view(4, 4).T


def test_random_filters_are_fixed_and_of_length_one() -> None:
    filters = random_filters()
    torch.testing.assert_close(filters.norm(dim=1), torch.ones(4, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.manual_seed(1)
    assert torch.equal(random_filters(), filters)
    assert torch.linalg.matrix_rank(filters) == 4, "nothing is lost"
    # Fixed for good, since networks are saved without them.
    expected = [
        [-0.8380, -0.1354, -0.3848, 0.3625],
        [-0.4693, -0.6772, -0.3309, -0.4600],
        [-0.4531, 0.5329, 0.1132, 0.7057],
        [0.6653, -0.7187, 0.0418, 0.1980],
    ]
    torch.testing.assert_close(filters, torch.tensor(expected, dtype=torch.float64), atol=1e-4, rtol=0)


def test_random_draws_nothing_from_the_global_generator() -> None:
    state = torch.get_rng_state()
    build_mixer("random", "haar")
    assert torch.equal(torch.get_rng_state(), state)


def test_random_puts_the_first_filter_of_all_channels_first() -> None:
    x_bchw, filters = random(1, 3, 2, 2), random_filters()
    expected = torch.einsum("np,cp->nc", filters, x_bchw.view(3, 4))  # filter by filter, channel by channel in each
    mixed = build_mixer("random", "haar").double()(x_bchw)
    torch.testing.assert_close(mixed.flatten(), expected.flatten())


def test_lifting_is_haar_at_the_start() -> None:
    x_bchw = random(2, 3, 6, 8)
    torch.testing.assert_close(build_mixer("lifting", "haar").double()(x_bchw), haar_dwt(x_bchw), atol=1e-7, rtol=1e-7)


def three_taps(rows: Tensor, taps: Tensor) -> Tensor:
    """Each value with its neighbours along the last dimension, zeros beyond the ends."""
    padded = nn.functional.pad(rows, (1, 1))
    return taps[0] * padded[..., :-2] + taps[1] * padded[..., 1:-1] + taps[2] * padded[..., 2:]


def unlift(coarse: Tensor, detail: Tensor, predict: Tensor, update: Tensor) -> Tensor:
    """The steps of lifting undone in the opposite order, along the last dimension."""
    coarse, detail = coarse / 2**0.5, detail * -(2**0.5)
    even = coarse - three_taps(detail, update)
    odd = detail + three_taps(even, predict)
    return torch.stack((even, odd), dim=-1).flatten(-2)


@pytest.mark.parametrize("seed", range(3))
def test_lifting_loses_nothing_whatever_its_taps(seed: int) -> None:
    mixer = build_mixer("lifting", "haar").double()
    torch.manual_seed(seed)
    for taps in mixer.parameters():
        nn.init.normal_(taps)
    x_bchw = random(2, 3, 6, 8)
    with torch.no_grad():
        bands = mixer(x_bchw)
        ll, (ch, cv, cd) = bands[:, :3], bands[:, 3:].unflatten(1, (3, 3)).unbind(2)
        low, high = (unlift(*pair, mixer.predict[1], mixer.update[1]) for pair in ((ll, cv), (ch, cd)))
        restored = unlift(low.mT, high.mT, mixer.predict[0], mixer.update[0]).mT
    torch.testing.assert_close(restored, x_bchw)


def test_lifting_learns() -> None:
    block = WaveMixBlock(8, mixer="lifting", levels=2)
    block(torch.randn(2, 8, 8, 12)).square().mean().backward()
    taps = list(block.mixer.parameters())
    assert [tuple(each.shape) for each in taps] == [(2, 3), (2, 3)]
    assert all((each.grad != 0).all() for each in taps)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_saved_without_fixed_filters(name: str) -> None:
    assert list(build_mixer(name, "haar").state_dict()) == (["predict", "update"] if name == "lifting" else [])


@pytest.mark.parametrize("name", ["", "dft", "DWT", "learned"])
def test_an_unknown_mixer_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"dwt, none, fourier, random, maxpool, lifting, got '{name}'"):
        build_mixer(name, "haar")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "dwt"])
def test_only_the_wavelet_transform_takes_a_wavelet(name: str) -> None:
    with pytest.raises(ValueError, match=f"mixer '{name}' takes no wavelet, got 'db2'"):
        build_mixer(name, "db2")


@pytest.mark.parametrize("name", ["none", "fourier"])
def test_mixers_that_keep_the_size_have_one_level(name: str) -> None:
    WaveMixBlock(8, mixer=name)
    with pytest.raises(ValueError, match=f"mixer '{name}' keeps the size, so levels must be 1, got 2"):
        WaveMixBlock(8, mixer=name, levels=2)


@pytest.mark.parametrize("name", NAMES)
def test_compiles_in_one_graph(name: str) -> None:
    mixer, x_bchw = build_mixer(name, "haar").double(), random(2, 3, 4, 6)
    torch.testing.assert_close(torch.compile(mixer, backend="eager", fullgraph=True)(x_bchw), mixer(x_bchw))
