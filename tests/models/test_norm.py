"""Batch normalisation: torch's, and as exact with the channels last in memory as with the channels first."""

import copy

import pytest
import torch
from torch import Tensor, nn

from wavemix.models.norm import BatchNorm2d


def maps(*shape: int, mean: float = 0.5, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator, dtype=torch.float64).mul(0.1).add(mean).to(dtype)


def layer(num_channels: int) -> BatchNorm2d:
    norm = BatchNorm2d(num_channels)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 1.5, num_channels))
        norm.bias.copy_(torch.linspace(-1, 1, num_channels))
    return norm


def twin(norm: BatchNorm2d, dtype: torch.dtype) -> nn.BatchNorm2d:
    other = nn.BatchNorm2d(norm.num_features, dtype=dtype)
    other.load_state_dict(norm.state_dict())
    return other


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["first", "last"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 4, 1, 2), (3, 1, 8, 8)])
def test_equals_torch(shape: tuple[int, ...], memory_format: torch.memory_format) -> None:
    norm = layer(shape[1])
    theirs = twin(norm, torch.float64)
    x_nchw = maps(*shape).to(memory_format=memory_format).requires_grad_()
    wide_nchw = x_nchw.detach().double().requires_grad_()
    upstream = maps(*shape, mean=0.0)
    y_nchw, expected = norm(x_nchw), theirs(wide_nchw)
    y_nchw.backward(upstream)
    expected.backward(upstream.double())
    torch.testing.assert_close(y_nchw, expected.float(), atol=2e-5, rtol=0)
    assert x_nchw.grad is not None
    assert wide_nchw.grad is not None
    torch.testing.assert_close(x_nchw.grad, wide_nchw.grad.float(), atol=2e-5, rtol=1e-4)
    for name, parameter in norm.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs.get_parameter(name).grad.float(), atol=2e-5, rtol=1e-4)
    for name, buffer in norm.named_buffers():
        torch.testing.assert_close(buffer, theirs.get_buffer(name).to(buffer.dtype), msg=name)


def test_channels_last_are_as_exact_as_channels_first() -> None:
    # A mean ten times the deviation, over many values: torch's own layer is off by 2e-5 to 1e-4 here.
    x_nchw = maps(4, 8, 64, 64, mean=1.0)
    exact = nn.BatchNorm2d(8, dtype=torch.float64)(x_nchw.double())
    first = (BatchNorm2d(8)(x_nchw) - exact).abs().max()
    last = (BatchNorm2d(8)(x_nchw.to(memory_format=torch.channels_last)) - exact).abs().max()
    assert last < max(2 * first, 3e-6)


def test_evaluation_uses_the_running_statistics() -> None:
    norm = layer(3)
    x_nchw = maps(2, 3, 4, 4).to(memory_format=torch.channels_last)
    norm(x_nchw)
    before = copy.deepcopy(norm.state_dict())
    norm.eval()
    torch.testing.assert_close(norm(x_nchw), twin(norm, torch.float32).eval()(x_nchw))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


def test_frozen_weights_get_no_gradient() -> None:
    norm = layer(3).requires_grad_(False)
    x_nchw = maps(2, 3, 4, 4).to(memory_format=torch.channels_last).requires_grad_()
    norm(x_nchw).square().sum().backward()
    assert norm.weight.grad is None
    assert x_nchw.grad is not None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_torchs(dtype: torch.dtype) -> None:
    norm = layer(3).to(dtype)
    x_nchw = maps(2, 3, 4, 4, dtype=dtype).to(memory_format=torch.channels_last)
    assert torch.equal(norm(x_nchw), twin(norm, dtype)(x_nchw))
