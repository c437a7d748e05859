"""Which phase of the recipe does the next step, and after which steps there is an evaluation. It knows no model.

Phases begin and end with an epoch, and end at an evaluation. All of it follows from where a run stands (``Place``).
"""

from wavemix.config import Recipe
from wavemix.training.state import Place


def most_steps(recipe: Recipe, steps_per_epoch: int) -> int:
    """The steps of a run in which no phase ends early."""
    return steps_per_epoch * sum(phase.num_epochs for phase in recipe.phases)


def is_evaluated(place: Place, recipe: Recipe, steps_per_epoch: int) -> bool:
    """Whether the model is evaluated after ``place.step`` steps: every so many epochs, and at the end of a phase."""
    epochs, more = divmod(place.step - place.phase_start, steps_per_epoch)
    at_end = epochs == recipe.phases[place.phase].num_epochs
    return more == 0 and epochs > 0 and (at_end or epochs % recipe.eval_every_epochs == 0)


def next_phase(place: Place, recipe: Recipe, steps_per_epoch: int) -> int | None:
    """The index of the phase that does the next step; None if the run is finished."""
    if not _ends(place, recipe, steps_per_epoch):
        return place.phase
    return place.phase + 1 if place.phase + 1 < len(recipe.phases) else None


def _ends(place: Place, recipe: Recipe, steps_per_epoch: int) -> bool:
    """Whether its phase ends here: it has had all of its epochs, or too many of them without a better score.

    Each phase has all of its patience: it counts from its own start. (In some of the authors' scripts the count goes on
    from the phase before, so that the second one ends at once.)
    """
    phase = recipe.phases[place.phase]
    if not is_evaluated(place, recipe, steps_per_epoch):
        return False
    last_gain = max(place.phase_start, place.best.reached if place.best else 0)
    waited = (place.step - last_gain) // steps_per_epoch
    in_full = place.step - place.phase_start == phase.num_epochs * steps_per_epoch
    return in_full or (phase.patience is not None and waited >= phase.patience)
