"""The WaveMix block against its definition written out with PyWavelets and numpy, and all that it can be made of."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import pywt
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wavemix.models import WaveMixBlock, WaveMixClassifier
from wavemix.models.blocks import add_residuals
from wavemix.models.fuse import layer_by_layer

Array = NDArray[np.float64]


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
        hidden = conv1x1(np.concatenate((ll, interleaved, mixed), axis=1), own["widen.weight"], own["widen.bias"])
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


def test_dropout_is_the_hidden_one_and_only_in_training() -> None:
    block = WaveMixBlock(8, levels=2, dropout=0.5)
    assert [module.p for module in block.modules() if isinstance(module, nn.Dropout)] == [0.5, 0.5]
    x_bdhw = torch.randn(1, 8, 8, 8)
    assert not torch.equal(block(x_bdhw), block(x_bdhw))
    block.eval()
    assert torch.equal(block(x_bdhw), block(x_bdhw))


@pytest.mark.parametrize("size", [(8, 8), (7, 10)])
def test_stochastic_depth_leaves_a_block_out_for_some_samples(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    block = WaveMixBlock(8, levels=2, drop_path=0.6)
    x_bdhw = torch.randn(200, 8, *size)
    with torch.no_grad():
        added_bdhw = block(x_bdhw, add_input=True) - x_bdhw
        left_out_b = (added_bdhw == 0).flatten(1).all(dim=1)
        assert 100 < int(left_out_b.sum()) < 140
        torch.testing.assert_close(added_bdhw[~left_out_b], block(x_bdhw)[~left_out_b] / 0.4, rtol=1e-4, atol=1e-5)


def test_stochastic_depth_is_for_training_alone() -> None:
    plain, dropping = WaveMixBlock(8).eval(), WaveMixBlock(8, drop_path=0.5).eval()
    dropping.load_state_dict(plain.state_dict())
    x_bdhw = torch.randn(16, 8, 8, 8)
    assert torch.equal(dropping(x_bdhw, add_input=True), plain(x_bdhw, add_input=True))


def test_without_dropping_nothing_is_drawn() -> None:
    block, state = WaveMixBlock(8), torch.get_rng_state()
    block(torch.ones(2, 8, 8, 8), add_input=True)
    assert torch.equal(torch.get_rng_state(), state)


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


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def trained_step(block: nn.Module, x_bdhw: Tensor) -> dict[str, Tensor]:
    """Everything that a training step computes: the result, all gradients, and the batch statistics behind it."""
    x_bdhw = x_bdhw.clone().requires_grad_()
    torch.manual_seed(7)
    mixed = block.train()(x_bdhw)
    mixed.backward(torch.cos(torch.arange(mixed.numel(), dtype=mixed.dtype)).view(mixed.shape))
    gradients = {f"gradient of {name}": parameter.grad for name, parameter in block.named_parameters()}
    buffers = {name: value.clone() for name, value in block.named_buffers()}
    return {"result": mixed.detach(), "gradient of the input": x_bdhw.grad, **gradients, **buffers}


def assert_same(found: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(
            found[name], value, atol=tolerance, rtol=tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("size", [(16, 16), (17, 30), (5, 3)], ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_what_is_computed_as_one_equals_the_layers(
    levels: int, size: tuple[int, int], memory_format: torch.memory_format
) -> None:
    torch.manual_seed(0)
    block = WaveMixBlock(8, levels=levels, mult=3, ff_dim=6).double()
    in_turn = layer_by_layer(block)
    # Two pixels to normalise over, at the least.
    x_bdhw = random(3, 8, *size).contiguous(memory_format=memory_format)
    assert_same(trained_step(block, x_bdhw), trained_step(in_turn, x_bdhw), 1e-11)
    with torch.no_grad():
        torch.testing.assert_close(block.eval()(x_bdhw), in_turn.eval()(x_bdhw), atol=1e-12, rtol=1e-12)


MIXERS = {"dwt": 4, "none": 1, "fourier": 1, "random": 4, "maxpool": 4, "lifting": 4}  # the most levels of each
EXPANSIONS = ["deconv", "bilinear", "idwt", "pixel_shuffle"]
COMBINATIONS = [
    (mixer, expand, levels)
    for (mixer, most), expand in itertools.product(MIXERS.items(), EXPANSIONS)
    for levels in range(1, most + 1)
    if most > 1 or expand in ("deconv", "bilinear")  # the others double the size
]


@pytest.mark.parametrize(("mixer", "expand", "levels"), COMBINATIONS)
def test_all_combinations_keep_the_shape_and_train(mixer: str, expand: str, levels: int) -> None:
    torch.manual_seed(0)
    block = WaveMixBlock(8, mixer=mixer, expand=expand, levels=levels, dropout=0.3)
    for size in [(16, 16), (5, 7), (1, 18)]:
        x_bdhw = torch.randn(2, 8, *size, requires_grad=True)
        mixed = block(x_bdhw)
        assert mixed.shape == x_bdhw.shape
        mixed.square().mean().backward()
        assert x_bdhw.grad is not None
        assert x_bdhw.grad.isfinite().all()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in block.parameters())


@pytest.mark.parametrize("expand", ["idwt", "pixel_shuffle"])
@pytest.mark.parametrize("mixer", ["none", "fourier"])
def test_an_expansion_that_doubles_a_size_that_was_kept_is_refused(mixer: str, expand: str) -> None:
    with pytest.raises(ValueError, match=f"'{expand}' doubles the size"):
        WaveMixBlock(8, mixer=mixer, expand=expand)


@pytest.mark.parametrize("expand", ["deconv", "idwt"])
@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("wavelet", ["db2", "bior1.3", "coif1", "sym3"])
def test_other_wavelets_keep_the_shape_and_train(wavelet: str, levels: int, expand: str) -> None:
    block = WaveMixBlock(8, wavelet=wavelet, levels=levels, expand=expand)
    for size in [(16, 24), (5, 7), (1, 1)]:
        x_bdhw = torch.randn(2, 8, *size, requires_grad=True)
        mixed = block(x_bdhw)
        assert mixed.shape == x_bdhw.shape
        mixed.square().mean().backward()
        assert x_bdhw.grad.isfinite().all()


def test_other_wavelets_stay_in_place() -> None:
    """A block with longer filters must answer where it was asked: the centre of mass of its answer does not move."""
    block = WaveMixBlock(4, wavelet="db3", expand="idwt", mult=1).double().eval()
    side = 33
    x_bdhw = torch.zeros(1, 4, side, side, dtype=torch.float64)
    x_bdhw[..., side // 2, side // 2] = 100.0
    with torch.no_grad():
        energy = (block(x_bdhw) - block(torch.zeros_like(x_bdhw))).square().sum((0, 1))
    place = torch.arange(side, dtype=torch.float64)
    row, column_ = (energy.sum(axis) @ place / energy.sum() for axis in (1, 0))
    assert row.item() == pytest.approx(side // 2, abs=3)
    assert column_.item() == pytest.approx(side // 2, abs=3)


@pytest.mark.parametrize(
    ("levels", "num_parameters"), [(1, 3_042_550), (2, 5_945_590), (3, 15_235_318), (4, 47_749_366)]
)
def test_the_deepest_level_alone(levels: int, num_parameters: int) -> None:
    """Table 14, where the counts are printed as 3M, 5.9M, 15.2M and 47.7M."""
    with torch.device("meta"):
        model = WaveMixClassifier(num_classes=10, dim=144, depth=7, levels=levels, deepest_only=True)
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters


@pytest.mark.parametrize("size", [(16, 16), (9, 21), (1, 1)], ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_the_deepest_level_alone_keeps_the_shape_and_trains(levels: int, size: tuple[int, int]) -> None:
    block = WaveMixBlock(8, levels=levels, deepest_only=True, mult=1)
    x_bdhw = torch.randn(2, 8, *size, requires_grad=True)
    mixed = block(x_bdhw)
    mixed.square().mean().backward()
    assert mixed.shape == x_bdhw.shape
    assert all(parameter.grad is not None for parameter in block.parameters())


def test_of_one_level_the_deepest_alone_is_all() -> None:
    block, deepest = WaveMixBlock(8), WaveMixBlock(8, deepest_only=True)
    deepest.load_state_dict(block.state_dict())
    x_bdhw = torch.randn(2, 8, 6, 8)
    torch.testing.assert_close(deepest(x_bdhw), block(x_bdhw))


def test_residuals_are_added_block_by_block() -> None:
    blocks = [WaveMixBlock(8).eval() for _ in range(2)]
    x_bdhw = torch.randn(1, 8, 6, 6)
    with torch.no_grad():
        middle = x_bdhw + blocks[0](x_bdhw)
        torch.testing.assert_close(add_residuals(x_bdhw, blocks), middle + blocks[1](middle))
        assert add_residuals(x_bdhw, []) is x_bdhw


def step_of_blocks(checkpoint_blocks: bool, dropout: float, levels: int) -> dict[str, Tensor]:
    torch.manual_seed(0)
    how = {"levels": levels, "dropout": dropout, "drop_path": dropout}
    blocks = nn.ModuleList(WaveMixBlock(8, **how) for _ in range(3)).double()

    class Residuals(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = blocks

        def forward(self, x_bdhw: Tensor) -> Tensor:
            return add_residuals(x_bdhw, self.blocks, checkpoint_blocks=checkpoint_blocks)

    return trained_step(Residuals(), random(2, 8, 12, 20))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("levels", [1, 3])
def test_checkpointing_changes_no_number(levels: int, dropout: float) -> None:
    plain, recomputed = (step_of_blocks(checkpoint_blocks, dropout, levels) for checkpoint_blocks in (False, True))
    assert_same(recomputed, plain, 1e-12)
    assert any(name.endswith("num_batches_tracked") and value == 1 for name, value in recomputed.items())


def bytes_kept(call: Callable[[], Tensor]) -> int:
    """For the backward pass, each storage once."""
    storages: dict[int, int] = {}
    alive = []

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        assert call().requires_grad
    return sum(storages.values())


def test_checkpointing_keeps_less() -> None:
    blocks = [WaveMixBlock(8, levels=2, dropout=0.5) for _ in range(4)]
    x_bdhw = torch.randn(1, 8, 32, 32, requires_grad=True)
    kept, kept_by_checkpoints = (
        bytes_kept(lambda: add_residuals(x_bdhw, blocks, checkpoint_blocks=checkpoint_blocks))  # noqa: B023
        for checkpoint_blocks in (False, True)
    )
    assert kept_by_checkpoints < kept / 3


def test_checkpointing_is_for_training_alone() -> None:
    block = WaveMixBlock(8).eval()
    x_bdhw = torch.randn(1, 8, 8, 8)
    with torch.no_grad():
        expected = add_residuals(x_bdhw, [block])
        assert torch.equal(add_residuals(x_bdhw, [block], checkpoint_blocks=True), expected)


def arguments(**changed: Any) -> dict[str, Any]:
    return {"dim": 8, **changed}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mixer": "dft"}, "mixer must be one of .*'dft'"),
        ({"expand": "upsample"}, "expand must be .*'upsample'"),
        ({"wavelet": "db99"}, "wavelet must be .*'db99'"),
        ({"mixer": "maxpool", "wavelet": "db2"}, "takes no wavelet"),
        ({"expand": "bilinear", "ff_dim": 5}, "takes 8 channels here, so ff_dim can't be 5"),
        ({"dropout": 1.5}, "between 0 and 1"),
        ({"dropout": -0.5}, "between 0 and 1"),
        ({"drop_path": 1.0}, "drop_path must be at least 0 and below 1, got 1.0"),
        ({"drop_path": -0.1}, "drop_path must be at least 0 and below 1, got -0.1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WaveMixBlock(**arguments(**changed))
