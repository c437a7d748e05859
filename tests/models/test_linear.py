"""Linear layers computed as one: equal to the layers in turn, for every size, and in fewer multiply-adds."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from wavemix.models.linear import (
    LinearChain,
    compose,
    compose_shuffle,
    convolve,
    deconvolve,
    in_turn,
    shuffle_pays,
    spread_bias,
)
from wavemix.models.stems import build_stem

Layer = tuple[int, int, int, int, int]  # channels in and out, kernel, stride, padding

# Wide enough for one kernel to be less work than the layers.
STRIDED = {f"strided-{stride}": [(2, 8, 3, stride, 1), (8, 8, 3, stride, 1)] for stride in (1, 2, 3)}
PATCHES = {f"patches-{side}": [(3, 4, 3, 1, 1), (4, 8, 3, 1, 1), (8, 8, side, side, 0)] for side in range(2, 9)}
CHAINS: dict[str, list[Layer]] = {
    **STRIDED,
    **PATCHES,
    "one-channel": [(1, 4, 3, 1, 1), (4, 8, 3, 1, 1)],
    "half-size": [(3, 8, 3, 1, 1), (8, 16, 3, 2, 1)],
    "tail": [(4, 8, 3, 1, 1), (8, 1, 1, 1, 0)],
    "pointwise-first": [(2, 16, 1, 1, 0), (16, 3, 3, 1, 1)],
    "kernel-5": [(1, 8, 5, 1, 2), (8, 4, 5, 2, 2)],
    "strides-2-3": [(1, 8, 3, 2, 1), (8, 4, 5, 3, 2)],
    "strides-3-1-2": [(1, 8, 3, 3, 1), (8, 8, 1, 1, 0), (8, 2, 3, 2, 1)],
    "strides-beyond-kernels": [(2, 16, 1, 2, 0), (16, 3, 3, 2, 1)],
    "no-padding": [(2, 8, 3, 1, 0), (8, 3, 3, 1, 0)],
    "padding-first": [(2, 8, 3, 1, 1), (8, 3, 3, 1, 0)],
    "padding-last": [(2, 8, 3, 1, 0), (8, 3, 3, 1, 1)],
    "much-padding": [(2, 8, 3, 1, 2), (8, 3, 3, 2, 2)],
}
SIZES = [(1, 1), (1, 40), (41, 1), (2, 3), (7, 8), (12, 12), (13, 30), (24, 25), (31, 17), (40, 48)]
MEMORY_FORMATS = [
    pytest.param(torch.contiguous_format, id="nchw"),
    pytest.param(torch.channels_last, id="nhwc"),
]


def made(chain: Sequence[Layer], seed: int = 0) -> LinearChain:
    torch.manual_seed(seed)
    return LinearChain(*(nn.Conv2d(i, o, k, s, p) for i, o, k, s, p in chain)).double()


def images(
    channels: int, height: int, width: int, memory_format: torch.memory_format = torch.contiguous_format
) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x_bchw = torch.randn(2, channels, height, width, generator=generator, dtype=torch.float64)
    return x_bchw.contiguous(memory_format=memory_format).requires_grad_()


def assert_same(found: Tensor, wanted: Tensor, inputs: Sequence[Tensor]) -> None:
    """Equal values, and equal gradients of the inputs."""
    close = {"atol": 1e-12, "rtol": 1e-12}
    torch.testing.assert_close(found, wanted, **close)
    upstream = torch.sin(torch.arange(wanted.numel(), dtype=wanted.dtype)).view(wanted.shape)
    found_grads = torch.autograd.grad(found, inputs, upstream)
    wanted_grads = torch.autograd.grad(wanted, inputs, upstream)
    for found_grad, wanted_grad in zip(found_grads, wanted_grads, strict=True):
        torch.testing.assert_close(found_grad, wanted_grad, **close)


def work(call: Callable[[Tensor], Tensor], x_bchw: Tensor) -> int:
    """Twice the multiply-adds, the making of a common kernel included."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call(x_bchw.detach())
    return counter.get_total_flops()


def result_or_error(call: Callable[..., Tensor], x_bchw: Tensor, layers: Sequence[nn.Conv2d]) -> Tensor | str:
    try:
        return call(x_bchw, layers)
    except RuntimeError as error:
        return str(error)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("name", CHAINS)
def test_convolve_equals_the_layers(name: str, size: tuple[int, int]) -> None:
    layers = made(CHAINS[name])
    x_bchw = images(layers[0].in_channels, *size)
    found, expected = (result_or_error(call, x_bchw, layers) for call in (convolve, in_turn))
    if isinstance(expected, Tensor):
        assert_same(found, expected, [x_bchw, *layers.parameters()])
    else:
        assert "Kernel size can't be greater" in expected
        assert "Kernel size can't be greater" in found


@pytest.mark.parametrize("seed", range(40))
def test_convolve_equals_the_layers_of_any_chain(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    chain, channels = [], draw(1, 2)
    for _ in range(draw(2, 4)):
        kernel = draw(1, 5)
        chain.append((channels, 8, kernel, draw(1, 3), draw(0, kernel - 1)))
        channels = 8
    layers = made([*chain, (8, 2, 1, 1, 0)], seed)
    x_bchw = images(layers[0].in_channels, draw(80, 110), draw(80, 110))
    assert_same(convolve(x_bchw, layers), in_turn(x_bchw, layers), [x_bchw, *layers.parameters()])


@pytest.mark.parametrize("memory_format", MEMORY_FORMATS)
@pytest.mark.parametrize("name", ["strided-1", "strided-2", "patches-4", "tail", "half-size"])
def test_convolve_keeps_the_memory_format(name: str, memory_format: torch.memory_format) -> None:
    layers = made(CHAINS[name])
    x_bchw = images(layers[0].in_channels, 31, 46, memory_format)
    result, expected = convolve(x_bchw, layers), in_turn(x_bchw, layers)
    assert_same(result, expected, [x_bchw, *layers.parameters()])
    assert result.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("name", CHAINS)
def test_convolve_is_less_work(name: str) -> None:
    layers = made(CHAINS[name])
    x_bchw = images(layers[0].in_channels, 144, 144)
    assert work(lambda x: convolve(x, layers), x_bchw) < work(lambda x: in_turn(x, layers), x_bchw)


def test_a_stem_for_large_images_takes_a_fraction_of_the_work() -> None:
    stem = build_stem("patchify", in_channels=3, dim=64, stride=1, patch_size=4)
    x_bchw = torch.randn(1, 3, 128, 128)
    assert work(stem.convs, x_bchw) < 0.35 * work(lambda x: in_turn(x, stem.convs), x_bchw)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize(
    "chain",
    [
        pytest.param([(64, 4, 3, 1, 1), (4, 8, 3, 1, 1)], id="narrow-between"),
        pytest.param([(8, 8, 3, 1, 1), (8, 8, 3, 1, 1)], id="large-kernel"),
        pytest.param([(16, 2, 1, 1, 0), (2, 16, 1, 1, 0)], id="low-rank"),
    ],
)
def test_convolve_is_never_more_work_where_composing_does_not_pay(chain: list[Layer], size: tuple[int, int]) -> None:
    layers = made(chain)
    x_bchw = images(layers[0].in_channels, *size)
    assert work(lambda x: convolve(x, layers), x_bchw) == work(lambda x: in_turn(x, layers), x_bchw)
    assert torch.equal(convolve(x_bchw, layers), in_turn(x_bchw, layers))


@pytest.mark.parametrize("name", [*STRIDED, *PATCHES, "half-size", "tail", "no-padding", "strides-3-1-2"])
def test_compose_gives_the_kernel_of_all_layers(name: str) -> None:
    """By definition: a value of the kernel is what the layers, without their padding, make of a single pixel."""
    layers = made([(i, o, k, s, 0) for i, o, k, s, _ in CHAINS[name]])
    weight_oihw, bias_o = compose(layers)
    side = 1
    for layer in reversed(layers):
        side = (side - 1) * layer.stride[0] + layer.kernel_size[0]
    assert weight_oihw.shape == (layers[-1].out_channels, layers[0].in_channels, side, side)

    num_in = layers[0].in_channels
    nothing = in_turn(torch.zeros(1, num_in, side, side, dtype=torch.float64), layers)
    torch.testing.assert_close(bias_o, nothing.flatten(), atol=1e-13, rtol=0)
    # One image for each value of the kernel: its answer is that value.
    single_pixels = torch.eye(num_in * side * side, dtype=torch.float64).view(-1, num_in, side, side)
    answers = (in_turn(single_pixels, layers) - nothing).flatten(1)
    torch.testing.assert_close(weight_oihw.flatten(1), answers.T, atol=1e-13, rtol=0)


DECONVS = {
    "two-classes": (8, 4, 2, (4, 2, 1)),
    "many-between": (3, 16, 2, (4, 2, 1)),
    "many-classes": (8, 4, 20, (4, 2, 1)),
    "stride-4": (6, 8, 3, (6, 4, 1)),
    "stride-1": (2, 8, 2, (3, 1, 1)),
    "no-padding": (4, 8, 2, (2, 2, 0)),
}


@pytest.mark.parametrize("memory_format", MEMORY_FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 4), (7, 10)], ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("name", DECONVS)
def test_deconvolve_equals_the_layers(name: str, size: tuple[int, int], memory_format: torch.memory_format) -> None:
    num_in, between, num_out, geometry = DECONVS[name]
    torch.manual_seed(0)
    deconv = nn.ConvTranspose2d(num_in, between, *geometry).double()
    pointwise = nn.Conv2d(between, num_out, 1).double()
    x_bchw = images(num_in, *size, memory_format)
    inputs = [x_bchw, *deconv.parameters(), *pointwise.parameters()]
    assert_same(deconvolve(x_bchw, deconv, pointwise), pointwise(deconv(x_bchw)), inputs)


def test_deconvolve_is_less_work_for_few_classes_and_no_more_for_many() -> None:
    deconv, x_bchw = nn.ConvTranspose2d(32, 16, 4, 2, 1), torch.randn(1, 32, 40, 40)
    few, many = nn.Conv2d(16, 3, 1), nn.Conv2d(16, 40, 1)
    assert work(lambda x: deconvolve(x, deconv, few), x_bchw) < 0.3 * work(lambda x: few(deconv(x)), x_bchw)
    assert work(lambda x: deconvolve(x, deconv, many), x_bchw) == work(lambda x: many(deconv(x)), x_bchw)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 2), (3, 5)], ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize(("num_in", "between", "num_out"), [(6, 3, 4), (2, 5, 1)])
def test_a_shuffle_between_convolutions_is_a_transposed_convolution(
    num_in: int, between: int, num_out: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    pointwise = nn.Conv2d(num_in, 4 * between, 1).double()
    conv = nn.Conv2d(between, num_out, 3, padding=1).double()
    x_bchw = images(num_in, *size)
    weight_mo44, bias_1o44 = compose_shuffle(pointwise, conv)
    found = F.conv_transpose2d(x_bchw, weight_mo44, None, stride=2, padding=1) + spread_bias(bias_1o44, *size)
    inputs = [x_bchw, *pointwise.parameters(), *conv.parameters()]
    assert_same(found, conv(F.pixel_shuffle(pointwise(x_bchw), 2)), inputs)


@pytest.mark.parametrize(("mult", "pays"), [(1, True), (2, True), (3, False), (4, False)])
def test_a_composed_shuffle_pays_for_narrow_hidden_layers(mult: int, pays: bool) -> None:
    pointwise, conv = nn.Conv2d(mult * 8, 4 * 8, 1), nn.Conv2d(8, 8, 3, padding=1)
    assert shuffle_pays(pointwise, conv) == pays


def decoder() -> LinearChain:
    return LinearChain(nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.Conv2d(8, 3, 1))


@pytest.mark.parametrize("make", [lambda: made(CHAINS["patches-4"]), decoder], ids=["convolve", "deconvolve"])
def test_a_chain_is_a_sequential(make: Callable[[], LinearChain]) -> None:
    chain = make().double()
    in_order = nn.Sequential(*chain)
    assert list(chain.state_dict()) == list(in_order.state_dict())
    x_bchw = images(chain[0].in_channels, 40, 60)
    assert_same(chain(x_bchw), in_order(x_bchw), [x_bchw, *chain.parameters()])
    assert work(chain, x_bchw) < work(in_order, x_bchw)
    chain.composes = False
    assert torch.equal(chain(x_bchw), in_order(x_bchw))
    assert work(chain, x_bchw) == work(in_order, x_bchw)


@pytest.mark.parametrize("name", ["strided-1", "patches-4", "tail"])
def test_second_derivatives(name: str) -> None:
    layers = made(CHAINS[name])
    x_bchw = images(layers[0].in_channels, 20, 21)

    def penalty(call: Callable[[Tensor], Tensor]) -> Tensor:
        (gradient,) = torch.autograd.grad(call(x_bchw).square().sum(), x_bchw, create_graph=True)
        return gradient.square().sum()

    composed, plain = penalty(lambda x: convolve(x, layers)), penalty(lambda x: in_turn(x, layers))
    assert_same(composed, plain, [x_bchw, *(parameter for parameter in layers.parameters() if parameter.ndim > 1)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["strided-1", "patches-4", "tail"])
def test_other_precisions_are_as_exact_as_the_layers(name: str, dtype: torch.dtype) -> None:
    layers = made(CHAINS[name])
    x_bchw = images(layers[0].in_channels, 40, 40).detach()
    exact = in_turn(x_bchw, layers)
    layers, x_bchw = layers.to(dtype), x_bchw.to(dtype)
    composed, plain = convolve(x_bchw, layers), in_turn(x_bchw, layers)
    assert composed.dtype == dtype
    composed_error, plain_error = ((result.double() - exact).square().mean().sqrt() for result in (composed, plain))
    assert composed_error < 2 * plain_error


def test_frozen_layers_pass_gradients_on() -> None:
    layers = made(CHAINS["strided-2"]).requires_grad_(False)
    x_bchw = images(2, 24, 24)
    assert_same(convolve(x_bchw, layers), in_turn(x_bchw, layers), [x_bchw])


def test_composing_moves_no_weight() -> None:
    layers = made(CHAINS["patches-4"])
    before = [parameter.detach().clone() for parameter in layers.parameters()]
    convolve(images(3, 24, 24), layers).sum().backward()
    assert all(torch.equal(*pair) for pair in zip(layers.parameters(), before, strict=True))


def test_large_images_meet_the_composed_kernel_alone_away_from_the_border() -> None:
    layers = made(CHAINS["strided-1"])
    x_bchw = images(2, 20, 20)
    weight_oihw, bias_o = compose(layers)
    inner = F.conv2d(x_bchw, weight_oihw, bias_o)
    torch.testing.assert_close(convolve(x_bchw, layers)[..., 2:-2, 2:-2], inner, atol=1e-12, rtol=1e-12)
