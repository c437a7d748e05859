"""One optimizer step: in pieces, clipped and in half precision, by hand and beside the plain step."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from factories.shades import recipe_of, task_of
from wavemix.config import Recipe
from wavemix.data import Deal
from wavemix.tasks import Task
from wavemix.training.batch_norm import GlobalBatchNorm2d
from wavemix.training.clock import Clock
from wavemix.training.state import TrainState
from wavemix.training.step import num_pieces, pieces, train_step

CPU = torch.device("cpu")


def recipe(**others: object) -> Recipe:
    return recipe_of({"optimizer": "sgd", "lr": 1.0, "num_epochs": 1, "momentum": 0.0}, **others)


def fresh(task: Task) -> nn.Module:
    """A network whose normalisation is frozen: its statistics would be those of the pieces."""
    torch.manual_seed(0)
    model = task.build_model()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train = lambda _mode=True, module=module: module  # type: ignore[method-assign,misc]
            module.training = False
    return model


def batch_of(size: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {"image": torch.rand(size, 1, 4, 4, generator=generator), "label": torch.arange(size) % 2}


def stepped(size: int = 7, scaler: GradScaler | None = None, **settings: object) -> tuple[TrainState, Any]:
    """The state after one step of plain gradient descent with a rate of 1, and the loss (None: it was left out)."""
    task = task_of()
    model = fresh(task)
    state = TrainState(model, model, torch.optim.SGD(model.parameters(), lr=1.0))
    state.scaler = scaler or state.scaler
    deal = Deal(num_samples=size, global_batch=size, rank=0, world_size=1)
    loss = train_step(state, task, recipe(**settings), deal, batch_of(size), CPU)
    return state, None if loss is None else float(loss)


def change(state: TrainState) -> dict[str, Tensor]:
    before = fresh(task_of()).state_dict()
    return {name: tensor.detach() - before[name] for name, tensor in state.model.named_parameters()}


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 4, 6, 7, 100])
def test_pieces_give_the_gradient_of_the_whole_batch(micro_batch: int) -> None:
    whole, loss = stepped()
    cut, loss_of_pieces = stepped(micro_batch=micro_batch)
    assert loss_of_pieces == pytest.approx(loss, rel=1e-6)
    for name, expected in change(whole).items():
        torch.testing.assert_close(change(cut)[name], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("num_samples", "world_size", "micro_batch", "expected"),
    [(8, 1, None, 1), (8, 1, 8, 1), (8, 1, 7, 2), (8, 1, 3, 3), (8, 2, 3, 2), (9, 2, 4, 2), (9, 2, 1, 4), (3, 2, 1, 1)],
)
def test_every_rank_makes_the_same_number_of_pieces(
    num_samples: int, world_size: int, micro_batch: int | None, expected: int
) -> None:
    for rank in range(world_size):
        deal = Deal(num_samples, num_samples, rank, world_size)
        found = num_pieces(deal, 0, micro_batch)
        mine = deal.mine(0)
        shares = [share for _, share in pieces(batch_of(mine.stop - mine.start), found)]
        assert found == expected
        assert min(shares) > 0
        assert sum(shares) == pytest.approx(1)


def test_pieces_are_the_batch_in_its_order_and_equal_up_to_a_sample() -> None:
    batch = {"image": torch.arange(14).reshape(7, 2), "label": torch.arange(7)}
    cut = [piece for piece, _ in pieces(batch, 3)]
    assert [len(piece["label"]) for piece in cut] == [3, 2, 2]
    for name, tensor in batch.items():
        assert torch.equal(torch.cat([piece[name] for piece in cut]), tensor)


def test_a_gradient_longer_than_the_norm_is_scaled_down_to_it() -> None:
    free, _ = stepped()
    squares = sum(float(part.double().square().sum()) for part in change(free).values())
    norm = squares**0.5
    clipped, _ = stepped(clip_norm=norm / 4)
    for name, expected in change(free).items():
        torch.testing.assert_close(change(clipped)[name], expected / 4, rtol=1e-4, atol=1e-7)
    left, _ = stepped(clip_norm=norm * 1.01)
    assert all(torch.equal(change(left)[name], expected) for name, expected in change(free).items())


def test_under_fp16_the_norm_is_that_of_the_gradient_itself_and_not_of_the_scaled_one() -> None:
    clipped, _ = stepped(precision="fp16", clip_norm=0.01, scaler=GradScaler("cpu", init_scale=1024.0))
    squares = sum(float(part.double().square().sum()) for part in change(clipped).values())
    assert squares**0.5 == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_computes_in_half_and_steps_almost_as_single(precision: str) -> None:
    whole, loss = stepped()
    scaler = GradScaler("cpu", init_scale=256.0, enabled=precision == "fp16")
    half, loss_of_half = stepped(precision=precision, scaler=scaler)
    assert loss_of_half != loss
    assert loss_of_half == pytest.approx(loss, rel=0.02)
    ours, theirs = (torch.cat([part.flatten() for part in change(state).values()]) for state in (half, whole))
    assert float((ours - theirs).norm() / theirs.norm()) < 0.05
    assert all(parameter.dtype == torch.float32 for parameter in half.model.parameters())


@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_a_step_that_overflows_is_left_out_and_the_scale_lowered(clip_norm: float | None) -> None:
    scaler = GradScaler("cpu", init_scale=2.0**40)
    state, loss = stepped(precision="fp16", scaler=scaler, clip_norm=clip_norm)
    assert loss is None
    assert all(not part.any() for part in change(state).values())
    assert all(torch.equal(buffer, fresh(task_of()).get_buffer(name)) for name, buffer in state.model.named_buffers())
    assert scaler.get_scale() == 2.0**39


SCRIPT = """
import sys

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from training.test_step import CPU, batch_of, fresh, recipe

from factories.shades import task_of
from wavemix.data import Deal
from wavemix.training.state import TrainState
from wavemix.training.step import train_step

dist.init_process_group("gloo")
rank, task = dist.get_rank(), task_of()
model = fresh(task)
forward = DistributedDataParallel(model, forward_sync_buffers=False, gradient_as_bucket_view=True)
state = TrainState(model, forward, torch.optim.SGD(model.parameters(), lr=1.0))
deal = Deal(num_samples=7, global_batch=7, rank=rank, world_size=2)
mine = {name: tensor[deal.mine(0)] for name, tensor in batch_of(7).items()}
loss = train_step(state, task, recipe(micro_batch=2), deal, mine, CPU)
dist.all_reduce(loss)
if rank == 0:
    torch.save({"loss": loss / 2, "weights": model.state_dict()}, sys.argv[1])
dist.destroy_process_group()
"""


@pytest.mark.cluster
def test_two_ranks_with_pieces_of_unequal_parts_step_as_one_process_does(tmp_path: Path) -> None:
    script, result = tmp_path / "two_ranks.py", tmp_path / "stepped.pt"
    script.write_text(SCRIPT)
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", str(script), str(result)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{tests}:{tests.parent}"},
    )
    assert done.returncode == 0, done.stderr
    found = torch.load(result, weights_only=True)
    state, loss = stepped()
    assert float(found["loss"]) == pytest.approx(loss, rel=1e-6)
    for name, expected in state.model.state_dict().items():
        torch.testing.assert_close(found["weights"][name], expected, rtol=1e-4, atol=1e-6)


def test_normalisation_over_ranks_is_computed_in_single_precision_also_of_half() -> None:
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        torch.manual_seed(0)
        x = (torch.randn(6, 3, 4, 4) + 5).bfloat16().requires_grad_()
        upstream = torch.randn(6, 3, 4, 4)
        ours, theirs = GlobalBatchNorm2d(3, Clock()), nn.BatchNorm2d(3)
        y = ours(x)
        y.backward(upstream.bfloat16())
        single = x.detach().float().requires_grad_()
        expected = theirs(single)
        expected.backward(upstream)
    finally:
        torch.distributed.destroy_process_group()
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, rtol=0.01, atol=0.01)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.running_var, theirs.running_var, rtol=1e-4, atol=1e-6)
    assert x.grad is not None
    torch.testing.assert_close(x.grad.float(), single.grad, rtol=0.02, atol=0.02)
