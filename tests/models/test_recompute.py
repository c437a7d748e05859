"""GELU, dropout and a convolution that keep little for the backward pass: exact, reproducible, and small."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad
from torch.nn import functional as F

from wavemix.models.recompute import gelu_dropout_conv, gelu_dropout_deconv

MEMORY_FORMATS = pytest.mark.parametrize(
    "memory_format",
    [pytest.param(torch.contiguous_format, id="nchw"), pytest.param(torch.channels_last, id="nhwc")],
)
CHAINS = pytest.mark.parametrize("with_deconv", [False, True], ids=["conv", "conv-deconv"])


class Layers(nn.Module):
    """What `gelu_dropout_conv` takes, as one module."""

    def __init__(self, drop_prob: float, channels: int, with_deconv: bool) -> None:
        super().__init__()
        self.dropout = nn.Dropout(drop_prob)
        self.conv = nn.Conv2d(channels, 4, 1)
        self.deconv = nn.ConvTranspose2d(4, 3, 4, 2, 1) if with_deconv else None

    def forward(self, x_bmuv: Tensor) -> Tensor:
        return gelu_dropout_conv(x_bmuv, self.dropout, self.conv, self.deconv)

    def plain(self, x_bmuv: Tensor, factor_bmuv: Tensor | float = 1.0) -> Tensor:
        """By torch's layers, with the factor that dropout had for each value."""
        projected_bfuv = self.conv(F.gelu(x_bmuv) * factor_bmuv)
        return projected_bfuv if self.deconv is None else self.deconv(projected_bfuv)


def made(
    drop_prob: float = 0.0, *, dtype: torch.dtype = torch.float64, channels: int = 6, with_deconv: bool = False
) -> Layers:
    torch.manual_seed(0)
    return Layers(drop_prob, channels, with_deconv).to(dtype)


def hidden(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def drawn_factors(like_bmuv: Tensor, drop_prob: float) -> Tensor:
    """What dropout multiplies each value by, seen through a convolution that changes nothing."""
    channels = like_bmuv.shape[1]
    identity = nn.utils.skip_init(nn.Conv2d, channels, channels, 1, dtype=like_bmuv.dtype)  # draws nothing
    nn.init.eye_(identity.weight.data.view(channels, channels))
    nn.init.zeros_(identity.bias)
    ones_bmuv = torch.ones_like(like_bmuv, requires_grad=True)
    return gelu_dropout_conv(ones_bmuv, nn.Dropout(drop_prob), identity).detach() / F.gelu(ones_bmuv).detach()


def assert_same(found: Tensor, wanted: Tensor, inputs: list[Tensor], tolerance: float = 1e-12) -> None:
    """Equal values, and equal gradients of the inputs."""
    torch.testing.assert_close(found, wanted, atol=tolerance, rtol=tolerance)
    upstream = hidden(*wanted.shape, dtype=wanted.dtype)
    found_grads = torch.autograd.grad(found, inputs, upstream)
    wanted_grads = torch.autograd.grad(wanted, inputs, upstream)
    for found_grad, wanted_grad in zip(found_grads, wanted_grads, strict=True):
        torch.testing.assert_close(found_grad, wanted_grad, atol=tolerance, rtol=tolerance)


@MEMORY_FORMATS
@CHAINS
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=["f64", "f32"])
def test_without_dropout_it_is_torch(
    dtype: torch.dtype, tolerance: float, with_deconv: bool, memory_format: torch.memory_format
) -> None:
    layers = made(dtype=dtype, with_deconv=with_deconv)
    x_bmuv = hidden(2, 6, 5, 7, dtype=dtype).contiguous(memory_format=memory_format).requires_grad_()
    result = layers(x_bmuv)
    assert result.is_contiguous(memory_format=memory_format)
    assert_same(result, layers.plain(x_bmuv), [x_bmuv, *layers.parameters()], tolerance)


@MEMORY_FORMATS
@CHAINS
@pytest.mark.parametrize("drop_prob", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    "shape", [(2, 6, 5, 7), (1, 6, 1, 1), (3, 6, 1, 5)], ids=lambda shape: "x".join(map(str, shape))
)
def test_with_dropout_it_is_torch_with_the_mask_that_was_drawn(
    shape: tuple[int, ...], drop_prob: float, with_deconv: bool, memory_format: torch.memory_format
) -> None:
    layers = made(drop_prob, with_deconv=with_deconv)
    x_bmuv = hidden(*shape).contiguous(memory_format=memory_format).requires_grad_()
    torch.manual_seed(5)
    result = layers(x_bmuv)
    torch.manual_seed(5)
    expected = layers.plain(x_bmuv, drawn_factors(x_bmuv, drop_prob))
    assert_same(result, expected, [x_bmuv, *layers.parameters()])


@CHAINS
@pytest.mark.parametrize("drop_prob", [0.0, 0.4, 1.0])
def test_first_and_second_derivatives(drop_prob: float, with_deconv: bool) -> None:
    layers = made(drop_prob, channels=2, with_deconv=with_deconv)
    names = list(dict(layers.named_parameters()))

    def call(x_bmuv: Tensor, *parameters: Tensor) -> Tensor:
        torch.manual_seed(5)  # the same mask in every call
        return functional_call(layers, dict(zip(names, parameters, strict=True)), (x_bmuv,))

    inputs = (hidden(1, 2, 1, 2).requires_grad_(), *layers.parameters())
    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)


@MEMORY_FORMATS
@pytest.mark.parametrize("drop_prob", [0.001, 0.1, 0.3, 0.5, 0.75, 0.99])
def test_values_are_kept_with_the_probability(drop_prob: float, memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    like_bmuv = torch.empty(4, 16, 128, 129).contiguous(memory_format=memory_format)
    factors = drawn_factors(like_bmuv, drop_prob)
    scale = factors.max().item()
    kept = factors != 0
    torch.testing.assert_close(factors[kept], torch.full_like(factors[kept], scale))
    keep_prob = 1 / scale
    assert keep_prob == pytest.approx(1 - drop_prob, abs=2**-17 + 1e-6)
    deviation = math.sqrt(kept.numel() * keep_prob * (1 - keep_prob))
    assert abs(kept.sum().item() - kept.numel() * keep_prob) < 5 * deviation


def test_values_are_kept_independently() -> None:
    """Values may share a random number: neighbours at any of these distances must not know of each other."""
    torch.manual_seed(0)
    signs = (drawn_factors(torch.empty(1, 1, 1024, 1024), 0.5) != 0).flatten().double() * 2 - 1
    for distance in (1, 2, 3, 4, 8, 1024):
        correlation = (signs[:-distance] * signs[distance:]).mean().item()
        assert abs(correlation) < 5 / math.sqrt(signs.numel()), distance
    for lane in range(4):
        assert abs(signs[lane::4].mean().item()) < 5 / math.sqrt(signs.numel() / 4), lane


@CHAINS
def test_the_expected_sum_is_kept(with_deconv: bool) -> None:
    layers = made(0.3, with_deconv=with_deconv)
    x_bmuv = hidden(1, 6, 1, 1)
    many_bmuv = x_bmuv.expand(20_000, 6, 1, 1).contiguous().requires_grad_()
    values = layers(many_bmuv).flatten(1).detach()
    error = values.std(0) / math.sqrt(len(values))
    assert ((values.mean(0) - layers.plain(x_bmuv).detach().flatten()).abs() < 5 * error).all()


@pytest.mark.parametrize(("drop_prob", "factor"), [(0.0, 1.0), (1e-9, 1.0), (1.0, 0.0), (1 - 1e-9, 0.0)])
def test_the_ends_of_the_range(drop_prob: float, factor: float) -> None:
    factors = drawn_factors(torch.empty(2, 3, 5, 5), drop_prob)
    torch.testing.assert_close(factors, torch.full_like(factors, factor))


@CHAINS
def test_when_all_is_dropped_the_biases_are_left(with_deconv: bool) -> None:
    layers = made(1.0, with_deconv=with_deconv)
    x_bmuv = hidden(2, 6, 3, 3).requires_grad_()
    result = layers(x_bmuv)
    torch.testing.assert_close(result, layers.plain(torch.zeros_like(x_bmuv)))
    result.sum().backward()
    assert not x_bmuv.grad.any()
    assert not layers.conv.weight.grad.any()


def test_one_seed_draws_one_mask() -> None:
    def draw() -> Tensor:
        return drawn_factors(torch.empty(2, 8, 16, 16), 0.5)

    torch.manual_seed(1)
    first, second = draw(), draw()
    torch.manual_seed(1)
    assert torch.equal(draw(), first)
    torch.manual_seed(2)
    assert not torch.equal(draw(), first)
    assert not torch.equal(second, first)


def test_the_backward_pass_draws_nothing() -> None:
    result = made(0.5)(hidden(2, 6, 4, 4).requires_grad_())
    state = torch.get_rng_state()
    result.sum().backward()
    assert torch.equal(torch.get_rng_state(), state)


@CHAINS
@pytest.mark.parametrize("grad_enabled", [True, False])
def test_evaluation_drops_nothing(grad_enabled: bool, with_deconv: bool) -> None:
    layers = made(0.5, with_deconv=with_deconv).eval()
    x_bmuv = hidden(2, 6, 4, 4)
    with torch.set_grad_enabled(grad_enabled):
        torch.testing.assert_close(layers(x_bmuv), layers.plain(x_bmuv), atol=1e-12, rtol=0)


def test_training_mode_drops_without_gradients_too() -> None:
    layers, x_bmuv = made(0.5), hidden(2, 6, 4, 4)
    with torch.no_grad():
        assert not torch.equal(layers(x_bmuv), layers.plain(x_bmuv))


@CHAINS
@pytest.mark.parametrize("drop_prob", [0.0, 0.5])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "f16"])
def test_narrow_precisions(dtype: torch.dtype, drop_prob: float, with_deconv: bool) -> None:
    layers, x_bmuv = (
        made(drop_prob, dtype=dtype, with_deconv=with_deconv),
        hidden(2, 6, 5, 7, dtype=dtype).requires_grad_(),
    )
    torch.manual_seed(5)
    result = layers(x_bmuv)
    result.sum().backward()
    assert result.dtype == x_bmuv.grad.dtype == layers.conv.weight.grad.dtype == dtype
    torch.manual_seed(5)
    factors = drawn_factors(x_bmuv.double(), drop_prob)
    wide = layers.double().plain(x_bmuv.detach().double(), factors)
    torch.testing.assert_close(result.double(), wide, atol=0.05, rtol=0.05)


@CHAINS
@pytest.mark.parametrize("drop_prob", [0.0, 0.5])
def test_autocast(drop_prob: float, with_deconv: bool) -> None:
    layers = made(drop_prob, dtype=torch.float32, with_deconv=with_deconv)
    widen = nn.Conv2d(3, 6, 1)
    x_bmuv = hidden(2, 3, 5, 7, dtype=torch.float32)

    def gradients(enabled: bool) -> list[Tensor]:
        torch.manual_seed(5)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            result = layers(widen(x_bmuv))
            assert result.dtype == (torch.bfloat16 if enabled else torch.float32)
        return list(torch.autograd.grad(result.float().square().mean(), [*widen.parameters(), *layers.parameters()]))

    for narrow, wide in zip(gradients(True), gradients(False), strict=True):
        assert narrow.dtype == torch.float32
        torch.testing.assert_close(narrow, wide, atol=0.02, rtol=0.05)


@pytest.mark.parametrize("wanted", ["conv.weight", "conv.bias", "deconv.weight", "deconv.bias", "input"])
def test_only_what_is_asked_for_has_a_gradient(wanted: str) -> None:
    layers, x_bmuv = made(0.5, with_deconv=True), hidden(2, 6, 3, 3)
    layers.requires_grad_(False)
    tensors = {"input": x_bmuv, **dict(layers.named_parameters())}
    tensor = tensors[wanted].requires_grad_()
    torch.manual_seed(5)
    result = layers(x_bmuv)
    torch.manual_seed(5)
    assert_same(result, layers.plain(x_bmuv, drawn_factors(x_bmuv, 0.5)), [tensor])
    layers(x_bmuv).sum().backward()
    assert [name for name, value in tensors.items() if value.grad is not None] == [wanted]


def test_the_input_is_left_alone() -> None:
    layers, x_bmuv = made(0.5), hidden(2, 6, 3, 3).requires_grad_()
    before = x_bmuv.detach().clone()
    layers(x_bmuv).sum().backward()
    assert torch.equal(x_bmuv, before)


def test_backward_twice_through_a_kept_graph() -> None:
    layers, x_bmuv = made(0.5), hidden(2, 6, 3, 3).requires_grad_()
    loss = layers(x_bmuv).square().sum()
    first = torch.autograd.grad(loss, x_bmuv, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(loss, x_bmuv)[0], first)


def bytes_kept(call: Callable[[], Tensor]) -> int:
    """For the backward pass, each storage once."""
    storages: dict[int, int] = {}
    alive = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = call()
    assert result.requires_grad
    return sum(storages.values())


@CHAINS
@pytest.mark.parametrize("drop_prob", [0.0, 0.5])
def test_little_more_than_the_input_is_kept(drop_prob: float, with_deconv: bool) -> None:
    layers = made(drop_prob, dtype=torch.float32, channels=32, with_deconv=with_deconv)
    x_bmuv = hidden(2, 32, 32, 32, dtype=torch.float32).requires_grad_()
    map_bytes = x_bmuv.untyped_storage().nbytes()
    ours = bytes_kept(lambda: layers(x_bmuv))
    by_torch = bytes_kept(lambda: layers.plain(layers.dropout(x_bmuv)))
    assert ours < 1.3 * map_bytes  # a mask of one byte a value, and the weights
    assert by_torch > 1.9 * map_bytes


@CHAINS
def test_gradients_by_torch_func(with_deconv: bool) -> None:
    layers, x_bmuv = made(with_deconv=with_deconv), hidden(3, 6, 4, 4)
    parameters = dict(layers.named_parameters())

    def loss(parameters: dict[str, Tensor], x_bmuv: Tensor) -> Tensor:
        return functional_call(layers, parameters, (x_bmuv,)).square().sum()

    by_func = grad(loss)(parameters, x_bmuv)
    by_autograd = torch.autograd.grad(loss(parameters, x_bmuv), list(parameters.values()))
    for found, wanted in zip(by_func.values(), by_autograd, strict=True):
        torch.testing.assert_close(found, wanted)


@CHAINS
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_compiles_in_one_graph(training: bool, with_deconv: bool) -> None:
    layers = made(0.0 if training else 0.5, with_deconv=with_deconv).train(training)
    x_bmuv = hidden(2, 6, 5, 7).requires_grad_()
    compiled = torch.compile(layers, backend="aot_eager", fullgraph=True)
    assert_same(compiled(x_bmuv), layers.plain(x_bmuv), [x_bmuv, *layers.parameters()])


def test_compiled_it_drops_by_torchs_own_dropout() -> None:
    layers, x_bmuv = made(0.5), hidden(8, 6, 16, 16).requires_grad_()
    compiled = torch.compile(layers, backend="aot_eager", fullgraph=True)
    first, second = compiled(x_bmuv), compiled(x_bmuv)
    assert not torch.equal(first, second)
    (gradient,) = torch.autograd.grad(first.sum(), x_bmuv)
    assert (gradient == 0).double().mean().item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("drop_prob", [0.0, 0.4])
def test_a_transposed_convolution_alone(drop_prob: float) -> None:
    weight_mo44 = hidden(6, 3, 4, 4).requires_grad_()
    x_bmuv = hidden(2, 6, 3, 5).requires_grad_()
    torch.manual_seed(0)
    factors = drawn_factors(x_bmuv, drop_prob)
    torch.manual_seed(0)
    found = gelu_dropout_deconv(x_bmuv, nn.Dropout(drop_prob), weight_mo44)
    wanted = F.conv_transpose2d(F.gelu(x_bmuv) * factors, weight_mo44, None, stride=2, padding=1)
    assert_same(found, wanted, [x_bmuv, weight_mo44])


def test_a_transposed_convolution_alone_in_evaluation() -> None:
    weight_mo44, x_bmuv = hidden(6, 3, 4, 4), hidden(2, 6, 3, 5)
    wanted = F.conv_transpose2d(F.gelu(x_bmuv), weight_mo44, None, stride=2, padding=1)
    torch.testing.assert_close(gelu_dropout_deconv(x_bmuv, nn.Dropout(0.4).eval(), weight_mo44), wanted)
