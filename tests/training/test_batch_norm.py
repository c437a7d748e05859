"""Batch normalisation over ranks: two ranks with unequal parts give what one process gives for the whole batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import torch
import torch.distributed as dist
from torch import nn

from wavemix.training.batch_norm import synchronised
from wavemix.training.clock import Clock

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
# A mean far from zero, where the mean of squares minus the square of the mean would cancel in single precision.
scale, shift = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([0.0, 300.0, -5.0])
whole = torch.randn(7, 3, 4, 5) * scale[:, None, None] + shift[:, None, None]
upstream = torch.randn(7, 3, 4, 5)
mine = slice(0, 5) if rank == 0 else slice(5, 7)


def made():
    norm = nn.BatchNorm2d(3)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -2.0, 0.5]))
        norm.bias.copy_(torch.tensor([0.0, 1.0, 2.0]))
    return nn.Sequential(norm)


reference, over_ranks = made(), synchronised(made(), torch.device("cpu"), Clock())
assert over_ranks.state_dict().keys() == reference.state_dict().keys()
x_whole, x_mine = whole.clone().requires_grad_(), whole[mine].clone().requires_grad_()
for _ in range(3):
    expected, found = reference(x_whole), over_ranks(x_mine)
expected.backward(upstream)
found.backward(upstream[mine])
for parameter in over_ranks.parameters():  # DDP's part
    dist.all_reduce(parameter.grad)

close = dict(rtol=1e-4, atol=1e-5)
torch.testing.assert_close(found, expected[mine], **close)
torch.testing.assert_close(x_mine.grad, x_whole.grad[mine], **close)
for name, parameter in reference.named_parameters():
    torch.testing.assert_close(over_ranks.get_parameter(name).grad, parameter.grad, **close)
for name, buffer in reference.named_buffers():
    torch.testing.assert_close(over_ranks.get_buffer(name), buffer, **close)
torch.testing.assert_close(over_ranks.eval()(whole), reference.eval()(whole), **close)
dist.destroy_process_group()
"""


@pytest.mark.cluster
def test_two_ranks_normalise_as_one_process_does(tmp_path: Path) -> None:
    script = tmp_path / "two_ranks.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", str(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
