"""A network at work outside of any run: a real sample, repeated to a batch, and the step of training on it.

It knows no recipe: all steps are eager, in float32 and with AdamW, so that the costs of networks compare. It measures
nothing.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import optim

from wavemix.data import Manifest
from wavemix.data.loader import stack
from wavemix.data.reader import ShardReader
from wavemix.tasks.base import Batch, Task
from wavemix.training.evaluation import to_device


def first_sample(task: Task, manifest: Manifest) -> Batch:
    """The first sample of ``train`` at the size that the network is trained on: a batch of one, on the CPU."""
    reader = ShardReader(manifest, "train")
    sample = task.train_transform(task.decode(reader[0], exact=False), np.random.default_rng(0))
    reader.close()
    return to_device(stack([sample.fields()]), torch.device("cpu"))


def repeated(sample: Batch, size: int, device: torch.device) -> Batch:
    """``size`` times the same sample: pictures of any data set make a batch, and content costs no time."""
    return {name: tensor.repeat_interleave(size, dim=0).to(device) for name, tensor in sample.items()}


def training_step(task: Task, sample: Batch, size: int, device: torch.device) -> Callable[[], None]:
    """A fresh network with its optimizer, as the call that trains it once on a batch of ``size``.

    Loading, augmenting and mixing samples are no part of the call.
    """
    model = task.build_model().to(device).train()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    batch = task.train_batch(repeated(sample, size, device), np.random.default_rng(0))

    def step() -> None:
        loss = task.loss(task.predict(model, batch), batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step
