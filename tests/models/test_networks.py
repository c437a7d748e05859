"""What all five networks promise: any size and precision, training, compilation, export, several processes."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from wavemix.models import WaveMixClassifier, WaveMixSegmenter, WaveMixSR, WaveMixSRV2, WavePaint
from wavemix.models.fuse import layer_by_layer

REPOSITORY = Path(__file__).parents[2]


class Network(NamedTuple):
    """How to make one, what it takes, and the shape of its answer to images of h x w pixels."""

    make: Callable[..., nn.Module]
    inputs: Callable[[int, int, int], tuple[Tensor, ...]]
    answer: Callable[[int, int, int], tuple[int, ...]]


def random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def one_image(batch: int, height: int, width: int) -> tuple[Tensor, ...]:
    return (random(batch, 3, height, width),)


def image_and_mask(batch: int, height: int, width: int) -> tuple[Tensor, ...]:
    mask_b1hw = (random(batch, 1, height, width) < 0.5).float()
    return random(batch, 3, height, width) * (1 - mask_b1hw), mask_b1hw


def made(network: type[nn.Module], **arguments: Any) -> Callable[..., nn.Module]:
    def make(**others: Any) -> nn.Module:
        torch.manual_seed(0)
        return network(**arguments | {"dim": 8, "dropout": 0.0} | others)

    return make


STRIDED = {"num_classes": 5, "depth": 2, "levels": 2}
PATCHES = STRIDED | {"stem": "patchify"}
NETWORKS = {
    "classifier": Network(made(WaveMixClassifier, **STRIDED), one_image, lambda b, _h, _w: (b, 5)),
    "classifier-head": Network(made(WaveMixClassifier, **STRIDED, head_dim=12), one_image, lambda b, _h, _w: (b, 5)),
    "segmenter": Network(made(WaveMixSegmenter, **STRIDED), one_image, lambda b, h, w: (b, 5, h, w)),
    "segmenter-patches": Network(made(WaveMixSegmenter, **PATCHES), one_image, lambda b, h, w: (b, 5, h, w)),
    "sr": Network(made(WaveMixSR, scale=2, depth=2), one_image, lambda b, h, w: (b, 3, 2 * h, 2 * w)),
    "sr-v2": Network(made(WaveMixSRV2, scale=4, blocks=1), one_image, lambda b, h, w: (b, 3, 4 * h, 4 * w)),
    "paint": Network(made(WavePaint, num_modules=2, blocks_per_module=1), image_and_mask, lambda b, h, w: (b, 3, h, w)),
    "paint-blind": Network(
        made(WavePaint, num_modules=2, blocks_per_module=1, mask_input=False),
        image_and_mask,
        lambda b, h, w: (b, 3, h, w),
    ),
}
FIVE = ["classifier", "segmenter", "sr", "sr-v2", "paint"]

all_networks = pytest.mark.parametrize("name", NETWORKS)


def to(inputs: tuple[Tensor, ...], *arguments: Any, **keywords: Any) -> tuple[Tensor, ...]:
    return tuple(tensor.to(*arguments, **keywords) for tensor in inputs)


def trained_step(model: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Everything that a training step computes: the answer, all gradients, and the batch statistics behind it."""
    first, *others = inputs
    first = first.clone().requires_grad_()
    answer = model.train()(first, *others)
    answer.float().square().mean().backward()
    gradients = {f"gradient of {name}": parameter.grad for name, parameter in model.named_parameters()}
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    return {"answer": answer.detach(), "gradient of the input": first.grad, **gradients, **buffers}


def assert_same(found: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(
            found[name], value, atol=tolerance, rtol=tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize(
    "size", [(16, 16), (7, 9), (1, 1), (2, 31), (33, 12)], ids=lambda size: "x".join(map(str, size))
)
@all_networks
def test_any_size(name: str, size: tuple[int, int]) -> None:
    model = NETWORKS[name].make().eval()
    for batch in (1, 3):
        with torch.no_grad():
            answer = model(*NETWORKS[name].inputs(batch, *size))
        assert answer.shape == NETWORKS[name].answer(batch, *size)
        assert answer.dtype == torch.float32
        assert answer.isfinite().all()


@all_networks
def test_an_image_is_answered_alone_as_in_a_batch(name: str) -> None:
    model, inputs = NETWORKS[name].make().eval(), NETWORKS[name].inputs(3, 12, 10)
    with torch.no_grad():
        torch.testing.assert_close(model(*(tensor[1:2] for tensor in inputs)), model(*inputs)[1:2])


@all_networks
def test_what_is_computed_as_one_equals_the_layers(name: str) -> None:
    model, inputs = NETWORKS[name].make().double(), to(NETWORKS[name].inputs(2, 37, 42), torch.float64)
    in_turn = layer_by_layer(model)
    assert in_turn.state_dict().keys() == model.state_dict().keys()
    assert_same(trained_step(model, inputs), trained_step(in_turn, inputs), 1e-10)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(*inputs), in_turn.eval()(*inputs), atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize("batch", [1, 2])
@all_networks
def test_all_parameters_and_the_input_have_a_gradient(name: str, batch: int) -> None:
    step = trained_step(NETWORKS[name].make(dropout=0.5), NETWORKS[name].inputs(batch, 13, 16))
    for what, value in step.items():
        assert value is not None, what
        assert value.isfinite().all(), what


def learned(name: str, answer: Tensor) -> Tensor:
    """What the weights decide: super-resolution only interpolates Cb and Cr."""
    return answer[:, :1] if name.startswith("sr") else answer


@all_networks
def test_training_lowers_the_loss(name: str) -> None:
    model, inputs = NETWORKS[name].make(), NETWORKS[name].inputs(2, 8, 8)
    target = random(*NETWORKS[name].answer(2, 8, 8)).flip(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        loss = learned(name, model(*inputs) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=["f64", "bf16", "f16"])
@all_networks
def test_other_precisions(name: str, dtype: torch.dtype) -> None:
    model, inputs = NETWORKS[name].make(), NETWORKS[name].inputs(2, 12, 16)
    with torch.no_grad():
        expected = copy.deepcopy(model).eval()(*inputs)
        found = model.to(dtype).eval()(*to(inputs, dtype))
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0.05)
    for what, value in trained_step(model, to(inputs, dtype)).items():
        assert value.isfinite().all(), what


@all_networks
def test_training_under_autocast(name: str) -> None:
    model, inputs = NETWORKS[name].make(dropout=0.2), NETWORKS[name].inputs(2, 12, 16)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.003)
    losses = []
    for _ in range(8):
        with torch.autocast("cpu", torch.bfloat16):
            answer = model(*inputs)
        loss = learned(name, answer.float() - 0.5).square().mean()
        optimiser.zero_grad()
        loss.backward()
        assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters())
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@all_networks
def test_answers_under_autocast_are_close(name: str) -> None:
    model, inputs = NETWORKS[name].make().eval(), NETWORKS[name].inputs(2, 12, 16)
    with torch.no_grad():
        expected = model(*inputs)
        with torch.autocast("cpu", torch.bfloat16):
            found = model(*inputs)
    torch.testing.assert_close(found.float(), expected, atol=0.03, rtol=0.03)


@all_networks
def test_channels_last_gives_the_same(name: str) -> None:
    model, inputs = NETWORKS[name].make().double(), to(NETWORKS[name].inputs(2, 14, 20), torch.float64)
    expected = trained_step(copy.deepcopy(model), inputs)
    found = trained_step(model.to(memory_format=torch.channels_last), to(inputs, memory_format=torch.channels_last))
    assert_same(found, expected, 1e-11)


@all_networks
def test_views_are_taken_and_inputs_left_alone(name: str) -> None:
    model, inputs = NETWORKS[name].make().eval(), NETWORKS[name].inputs(2, 24, 20)
    views = [tensor[..., ::2, :].mT for tensor in inputs]
    before = [view.clone() for view in views]
    with torch.no_grad():
        torch.testing.assert_close(model(*views), model(*(view.contiguous() for view in views)))
    assert all(torch.equal(*pair) for pair in zip(views, before, strict=True))


@all_networks
def test_one_seed_gives_one_training_step(name: str) -> None:
    def step() -> dict[str, Tensor]:
        return trained_step(NETWORKS[name].make(dropout=0.5), NETWORKS[name].inputs(2, 16, 16))

    assert_same(step(), step(), 0)


@all_networks
def test_state_dict_round_trip(name: str) -> None:
    inputs = NETWORKS[name].inputs(2, 8, 8)
    first = NETWORKS[name].make()
    first(*inputs)  # moves the batch statistics
    torch.manual_seed(1)
    second = NETWORKS[name].make()
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        assert torch.equal(first.eval()(*inputs), second.eval()(*inputs))
        assert torch.equal(copy.deepcopy(first)(*inputs), second(*inputs))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@all_networks
def test_checkpointing_changes_no_number(name: str, dropout: float) -> None:
    def step(checkpoint_blocks: bool) -> dict[str, Tensor]:
        model = NETWORKS[name].make(dropout=dropout, checkpoint_blocks=checkpoint_blocks)
        torch.manual_seed(3)
        return trained_step(model, NETWORKS[name].inputs(2, 12, 16))

    assert_same(step(checkpoint_blocks=True), step(checkpoint_blocks=False), 1e-7)


@pytest.mark.parametrize(
    ("name", "checkpoint_blocks"), [*((name, False) for name in FIVE), ("classifier", True), ("paint", True)]
)
def test_compiles_in_one_graph_with_its_gradient(name: str, checkpoint_blocks: bool) -> None:
    model = NETWORKS[name].make(checkpoint_blocks=checkpoint_blocks).double()
    inputs = to(NETWORKS[name].inputs(2, 12, 16), torch.float64)
    compiled = torch.compile(copy.deepcopy(model), backend="aot_eager", fullgraph=True)
    found = {key.replace("_orig_mod.", ""): value for key, value in trained_step(compiled, inputs).items()}
    assert_same(found, trained_step(NETWORKS[name].make().double(), inputs), 1e-10)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
def test_compiles_to_machine_code() -> None:
    model, inputs = NETWORKS["classifier"].make(depth=1, levels=1), NETWORKS["classifier"].inputs(2, 8, 8)
    compiled = torch.compile(copy.deepcopy(model), fullgraph=True)
    found = {key.replace("_orig_mod.", ""): value for key, value in trained_step(compiled, inputs).items()}
    assert_same(found, trained_step(model, inputs), 1e-5)


@all_networks
def test_exports_with_any_batch_size(name: str) -> None:
    model, inputs = NETWORKS[name].make(dropout=0.5).eval(), NETWORKS[name].inputs(2, 12, 20)
    batch = torch.export.Dim("batch", min=1)
    exported = torch.export.export(model, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs)).module()
    for num_images in (1, 2, 5):
        inputs = NETWORKS[name].inputs(num_images, 12, 20)
        with torch.no_grad():
            torch.testing.assert_close(exported(*inputs), model(*inputs))


RANKS = """
import sys

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

sys.path.insert(0, {folder!r})
from test_networks import FIVE, NETWORKS

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
mine = slice(2 * rank, 2 * rank + 2)
for name in FIVE:
    network = NETWORKS[name]
    inputs = network.inputs(4, 8, 12)

    # The gradient of all images in one process; batch statistics are frozen, since each rank would have its own.
    alone = network.make().eval()
    alone(*inputs).square().mean().backward()
    model = DistributedDataParallel(network.make().eval())
    model(*(tensor[mine] for tensor in inputs)).square().mean().backward()
    for (what, parameter), other in zip(alone.named_parameters(), model.parameters(), strict=True):
        close = dict(atol=1e-6, rtol=1e-4, msg=lambda text: f"{{name}} {{what}}: {{text}}")
        torch.testing.assert_close(other.grad, parameter.grad, **close)

    # Steps of training keep the ranks in step.
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        model(*(tensor[mine] for tensor in inputs)).square().mean().backward()
        optimiser.step()
    for what, parameter in model.named_parameters():
        of_rank_0 = parameter.detach().clone()
        dist.broadcast(of_rank_0, 0)
        assert torch.equal(of_rank_0, parameter), f"{{name}} {{what}} differs between ranks"
dist.destroy_process_group()
"""


@pytest.mark.cluster
def test_two_processes_train_each_network(tmp_path: Path) -> None:
    script = tmp_path / "two_ranks.py"
    script.write_text(RANKS.format(folder=str(Path(__file__).parent)))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", str(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr


TORCH_ALONE = """
import sys

BLOCKED = "numpy pywt pytorch_wavelets einops torchvision pydantic yaml webdataset ray mlflow".split()
sys.modules.update(dict.fromkeys(BLOCKED))  # importing one of them fails from here on
import torch

import wavemix.models
from wavemix.models import count, fuse, zoo

torch.set_num_threads(1)
model = wavemix.models.WaveMixClassifier(num_classes=5, dim=8, depth=1, levels=2, dropout=0.5)
model(torch.ones(2, 3, 8, 8)).sum().backward()
present = [name for name in BLOCKED if sys.modules.get(name) is not None]
assert not present, present
"""


def test_torch_is_all_that_the_networks_need() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TORCH_ALONE],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["num_classes", "depth", "mult", "ff_dim", "head_dim", "stride", "in_channels"])
def test_numbers_below_1_are_refused_by_name(name: str) -> None:
    arguments = {"num_classes": 5, "dim": 8, "depth": 1} | {name: 0}
    with pytest.raises(ValueError, match=f"^{name} must be at least 1, got 0$"):
        WaveMixClassifier(**arguments)


def test_a_single_image_without_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a batch of images \[b, c, h, w\], got \[3, 8, 8\]"):
        WaveMixClassifier(num_classes=5, dim=8, depth=1)(torch.zeros(3, 8, 8))
