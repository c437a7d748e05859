"""A model's scores on a split: sums over batches, one exchange between ranks, one division. It knows no optimizer."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from wavemix.data.loader import VALID
from wavemix.metrics import Tally, add_tallies, mean_of, over_ranks
from wavemix.tasks.base import Batch, Predict, Task

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
    *,
    full: bool = False,
    variant: Predict | None = None,
) -> dict[str, Tally]:
    """The task's tallies, and that of its loss, over all batches of all ranks; the same on every rank.

    Args:
        model: Set to evaluation mode for the time of the call.
        task: Names the metrics; its ``summary`` makes numbers of them.
        batches: This rank's share; it may be empty.
        device: Where the model is.
        on_batch: Shown every prediction with its batch.
        full: Whether to take the metrics too that are slow.
        variant: One of the task's other ways to predict, which has no loss.
    """
    was_training = model.training
    model.eval()
    predict = variant or task.predict
    total: dict[str, Tally] = {}
    with torch.inference_mode():
        for padded in _on(device, batches):
            prediction, batch = _valid(predict(model, padded), padded)
            if not len(prediction):
                continue
            tallies = dict(task.metrics(prediction, batch, full=full))
            if variant is None:
                tallies["loss"] = mean_of(task.loss(prediction, batch), len(prediction))
            total = add_tallies(total, tallies)
            on_batch(prediction, batch)
    model.train(was_training)
    return over_ranks(total)


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
