"""The optimizer of each phase, and which phase a step belongs to. It knows no model and no loop."""

from collections.abc import Iterable, Sequence

from torch import nn, optim

from wavemix.config import Phase


def phase_of(step: int, phases: Sequence[Phase], steps_per_epoch: int) -> int:
    """The index of the phase that does step ``step`` (counted from 0); the last one for any step after the end."""
    end = 0
    for index, phase in enumerate(phases):
        end += phase.num_epochs * steps_per_epoch
        if step < end:
            return index
    return len(phases) - 1


def build_optimizer(phase: Phase, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    """AdamW or SGD with the phase's settings.

    Source: WaveMix (arXiv 2205.14375), section 4.2: AdamW (lr 1e-3, betas 0.9 and 0.999, eps 1e-8, decay 0.01), then
    SGD (lr 1e-3, momentum 0.9) for the last epochs.
    """
    settings = phase.model_dump(exclude={"optimizer", "num_epochs"})
    optimizers: dict[str, type[optim.Optimizer]] = {"adamw": optim.AdamW, "sgd": optim.SGD}
    built: optim.Optimizer = optimizers[phase.optimizer](parameters, **settings)
    return built
