"""What the tests of the models share: reference tensors of the authors' code, and weights that follow from a formula.

The reference tensors are no part of the project: WAVEMIX_REFERENCE_DATA names the folder that holds ``parity/``. The
tests that need them are skipped where they are absent.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from factories.threads import one_thread  # noqa: F401  (a fixture)
from wavemix.models.published import load_published, our_name

REPOSITORY = Path(__file__).parents[2]

Reference = dict[str, Any]


@pytest.fixture
def reference() -> Callable[[str], Reference]:
    """Reads ``parity/NAME.pt``: the tensors that went into the authors' code, and those that came out."""
    data = Path(os.environ.get("WAVEMIX_REFERENCE_DATA", REPOSITORY.parent / "shared" / "data"))

    def read(name: str) -> Reference:
        path = data / "parity" / f"{name}.pt"
        if not path.is_file():
            pytest.skip(f"no reference tensors: WAVEMIX_REFERENCE_DATA has no parity/{name}.pt")
        content: Reference = torch.load(path, weights_only=True)
        return content

    return read


@pytest.fixture
def assert_parity() -> Callable[[nn.Module, Reference], None]:
    """Compares everything in a reference file with one of our networks, built with its arguments and no dropout."""

    def check(model: nn.Module, expected: Reference) -> None:
        load_published(model, expected["state_dict"])
        names = set(model.state_dict())

        with torch.no_grad():
            close(model.eval()(*expected["inputs"]), expected["output"], 1e-5)

        first, *others = expected["inputs"]
        first = first.clone().requires_grad_()
        output = model.train()(first, *others)
        output.square().mean().backward()
        close(output, expected["train_output"], 1e-5)
        close(first.grad, expected["input_grad"], 1e-4)

        grads = {name: parameter.grad for name, parameter in model.named_parameters()}
        expected_grads = {our_name(key, names): grad for key, grad in expected["grads"].items()}
        assert grads.keys() == expected_grads.keys()
        for name, grad in expected_grads.items():
            close(grads[name], grad, 1e-4, name)

        buffers = dict(model.named_buffers())
        expected_buffers = {our_name(key, names): value for key, value in expected["state_after"].items()}
        assert buffers.keys() == expected_buffers.keys()
        for name, value in expected_buffers.items():
            close(buffers[name], value, 1e-5, name)

    def close(actual: Tensor | None, wanted: Tensor, tolerance: float, name: str = "") -> None:
        torch.testing.assert_close(
            actual, wanted, atol=tolerance, rtol=0, msg=(lambda text: f"{name}: {text}") if name else None
        )

    return check


@pytest.fixture
def fill() -> Callable[[nn.Module], None]:
    """Sets every weight and buffer to a sine of its position, variances positive: the same on every machine."""

    def set_all(model: nn.Module) -> None:
        for position, (name, value) in enumerate(model.state_dict().items()):
            if value.is_floating_point():
                wave = torch.sin(torch.arange(value.numel(), dtype=torch.float64) * 0.7 + position).view(value.shape)
                value.copy_(1 + 0.5 * wave if name.endswith("norm.running_var") else 0.3 * wave)

    return set_all
