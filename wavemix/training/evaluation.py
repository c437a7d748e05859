"""A model's scores on a split: sums over batches, one exchange between ranks, one division. It knows no optimizer."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from wavemix.data.loader import VALID
from wavemix.metrics import Ratio, mean_of, over_ranks, sum_ratios
from wavemix.tasks.base import Batch, Task

OnBatch = Callable[[Tensor, Batch], None]


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on the device, with uint8 pictures turned into float32 in [0, 1] there: bytes travel, floats do not."""
    moved = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
    return {name: tensor.float() / 255 if tensor.dtype == torch.uint8 else tensor for name, tensor in moved.items()}


def evaluate(
    model: nn.Module,
    task: Task,
    batches: Iterable[Batch],
    device: torch.device,
    on_batch: OnBatch = lambda _prediction, _batch: None,
) -> dict[str, Ratio]:
    """The task's metrics and its loss over all batches of all ranks; the same on every rank.

    Args:
        model: Set to evaluation mode for the time of the call.
        task: Names the metrics.
        batches: This rank's share; it may be empty.
        device: Where the model is.
        on_batch: Shown every prediction with its batch.
    """
    was_training = model.training
    model.eval()
    total: dict[str, Ratio] = {}
    with torch.inference_mode():
        for padded in _on(device, batches):
            prediction, batch = _valid(task.predict(model, padded), padded)
            if not len(prediction):
                continue
            loss = mean_of(task.loss(prediction, batch), len(prediction))
            total = sum_ratios(total, {"loss": loss, **task.metrics(prediction, batch)})
            on_batch(prediction, batch)
    model.train(was_training)
    return over_ranks(total)


def scalars(ratios: dict[str, Ratio]) -> dict[str, float]:
    """The metrics that are one number each (a confusion matrix is not)."""
    return {name: float(ratio.value) for name, ratio in ratios.items() if ratio.value.numel() == 1}


def _valid(prediction: Tensor, batch: Batch) -> tuple[Tensor, Batch]:
    """Without the rows that only make all ranks' batches equally large: they count for nothing."""
    if VALID not in batch:
        return prediction, batch
    valid = batch[VALID]
    if not valid.all():
        prediction, batch = prediction[valid], {name: tensor[valid] for name, tensor in batch.items()}
    return prediction, {name: tensor for name, tensor in batch.items() if name != VALID}


def _on(device: torch.device, batches: Iterable[Batch]) -> Iterator[Batch]:
    for batch in batches:
        yield to_device(batch, device)
