"""What happens where gradients are not finite: steps are left out, then weights go back, then training is given up.

It knows the state and its checkpoints, and no data: the step count goes on, so the samples that led astray are passed
over, and everything that follows from the step stays as it would have been.
"""

from collections.abc import Callable
from pathlib import Path

from wavemix.config import Recipe
from wavemix.distributed import from_first_rank, rank
from wavemix.errors import TrainingError
from wavemix.training.checkpoint import is_good, load_learned, newest_checkpoint, read_meta
from wavemix.training.optim import build_optimizer
from wavemix.training.state import TrainState

LEAST_SCALE = 2.0**-24
"""The smallest number of fp16; a loss scaled by less is nothing."""


def count_bad_step(state: TrainState, recipe: Recipe, *, left_out: bool) -> bool:
    """Whether so many steps in a row were left out that something has to be done.

    That fp16's scale falls is no trouble, until there is nothing left of it.
    """
    falling = state.scaler.is_enabled() and state.scaler.get_scale() >= LEAST_SCALE
    state.bad_steps = state.bad_steps + 1 if left_out and not falling else 0
    return state.bad_steps >= recipe.max_bad_steps


def roll_back(state: TrainState, recipe: Recipe, checkpoints: Path, tell: Callable[[str, str], None]) -> None:
    """Put weights, average and optimizer of the newest good checkpoint into the state; its step stays as it is.

    Only checkpoints that the recipe asks for count, so that the outcome does not depend on who else asked for one.

    Raises:
        TrainingError: On every rank: it has happened too often, or there is no good checkpoint.
    """
    found = f"the gradient was not finite in {state.bad_steps} steps in a row, up to step {state.step}"
    # Rank 0 looks, so that a slow file system cannot show two ranks different newest checkpoints.
    good = from_first_rank(newest_checkpoint(checkpoints, accept=is_good) if rank() == 0 else None)
    if good is None or state.rollbacks >= recipe.max_rollbacks:
        before = f"after {state.rollbacks} roll-backs" if good else "before any good checkpoint"
        hint = "; or set recipe.precision to bf16 or fp32" if state.scaler.is_enabled() else ""
        raise TrainingError(
            f"{found}, {before}; lower the learning rate of this phase (recipe.phases){hint}. "
            f"The last checkpoints stay in {checkpoints}"
        )
    meta = read_meta(good)
    if rank() == 0:
        tell("rollback", f"{found}: weights go back to those of step {meta['step']}, samples go on")
    state.optimizer = build_optimizer(recipe.phases[state.phase], state.model.parameters())
    load_learned(state, good, meta, with_optimizer=meta["phase"] == state.phase)
    state.bad_steps, state.rollbacks = 0, state.rollbacks + 1
