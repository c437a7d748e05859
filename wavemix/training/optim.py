"""The optimizer of each phase. It knows no model and no loop."""

from collections.abc import Iterable

from torch import nn, optim

from wavemix.config import Phase


def build_optimizer(phase: Phase, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    """AdamW or SGD with the phase's settings.

    Source: WaveMix (arXiv 2205.14375), section 4.2: AdamW (lr 1e-3, betas 0.9 and 0.999, eps 1e-8, decay 0.01), then
    SGD (lr 1e-3, momentum 0.9) for the last epochs.
    """
    settings = phase.model_dump(exclude={"optimizer", "num_epochs", "patience", "schedule"})
    optimizers: dict[str, type[optim.Optimizer]] = {"adamw": optim.AdamW, "sgd": optim.SGD}
    built: optim.Optimizer = optimizers[phase.optimizer](parameters, **settings)
    return built
