"""What is drawn for the trials of a sweep, and which of them end early: in Ray Tune's terms, by samplers and schedulers
that are told what is known from earlier starts of the sweep. It starts no trial.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from wavemix.config import Asha, Pbt, Sweep
from wavemix.config.sweeps import Choice, Drawn, LogUniform
from wavemix.launch.sweeps.draw import Values, draw
from wavemix.launch.sweeps.evaluations import BEST, EPOCH, Evaluations
from wavemix.launch.sweeps.sweep import Outcome, is_open
from wavemix.tasks import Goal


@dataclass(frozen=True)
class Left:
    """What is left to do of a sweep: runs to go on with, and how many trials are still to be drawn."""

    opened: Sequence[Outcome]
    ended: Sequence[Outcome]
    undrawn: int

    @property
    def num_trials(self) -> int:
        return len(self.opened) + self.undrawn


def encoded(values: Values) -> Values:
    """Tune reads a dot in a name as nesting, so paths travel through it with colons."""
    return {leaf.replace(".", ":"): value for leaf, value in values.items()}


def decoded(values: Values) -> Values:
    return {leaf.replace(":", "."): value for leaf, value in values.items()}


def left_of(sweep: Sweep, outcomes: Sequence[Outcome]) -> Left:
    # A member of a population may have had several runs, of which only the first was drawn.
    drawn = sum(one.entry.resume_from is None for one in outcomes)
    return Left(
        [one for one in outcomes if is_open(one)],
        [one for one in outcomes if not is_open(one)],
        max(0, sweep.num_trials - drawn),
    )


def random_search(sweep: Sweep, left: Left) -> dict[str, Any]:
    """Arguments of ``tune.run`` for known starts: of runs to go on with, and the rest of the seed's draws."""
    from ray import tune  # noqa: PLC0415

    had = [one.entry.values for one in (*left.opened, *left.ended)]
    starts = [{"values": encoded(one.entry.values), "resume_from": one.entry.resume_from} for one in left.opened]
    fresh = [values for values in draw(sweep.space, sweep.num_trials, seed=sweep.seed) if values not in had]
    starts += [{"values": encoded(values), "resume_from": None} for values in fresh[: left.undrawn]]
    return {"config": {"start": tune.grid_search(starts)}}


def optuna_search(sweep: Sweep, left: Left, goal: Goal) -> dict[str, Any]:
    """Arguments of ``tune.run`` for a sampler (TPE) that knows the scores of the trials that have ended."""
    import optuna  # noqa: PLC0415
    from ray.tune.search.optuna import OptunaSearch  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Another seed at every start, or its first draws would come again.
    (seed,) = np.random.SeedSequence([sweep.seed, len(left.opened) + len(left.ended)]).generate_state(1)
    search = OptunaSearch(
        space={_in_optuna(leaf): _distribution(kind) for leaf, kind in sweep.space.items()},
        metric=BEST,
        mode=goal.better,
        points_to_evaluate=[_point(one) for one in left.opened],
        seed=int(seed),
    )
    for one in left.ended:
        if one.best is not None:
            search.add_evaluated_point(_point(one), one.best.score)
    return {"search_alg": search, "num_samples": left.num_trials}


def _in_optuna(leaf: str) -> str:
    (name,) = encoded({leaf: None})
    return f"start/values/{name}"


def _point(one: Outcome) -> Values:
    return {_in_optuna(leaf): value for leaf, value in one.entry.values.items()}


def _distribution(kind: Drawn) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution  # noqa: PLC0415

    if isinstance(kind, Choice):
        return CategoricalDistribution(kind.choice)
    if isinstance(kind, LogUniform):
        return FloatDistribution(*kind.log_uniform, log=True)
    return FloatDistribution(*kind.uniform)


def build_scheduler(sweep: Sweep, goal: Goal, epochs: int, ended: Sequence[Outcome], *, has_room: bool) -> Any:
    """Tune's scheduler, which counts by epochs; None where every trial runs to its end.

    Args:
        sweep: The sweep.
        goal: What ranks its trials.
        epochs: The most that a trial has.
        ended: Trials that ended before, with which others are compared.
        has_room: Whether all trials can run at once.
    """
    match sweep.scheduler:
        case Asha() as asha:
            return _asha(asha, goal, epochs, ended)
        case Pbt() as pbt:
            from wavemix.launch.sweeps.ray_population import Population  # noqa: PLC0415

            return Population(pbt, sweep, goal, has_room=has_room)
        case None:
            return None


def _asha(asha: Asha, goal: Goal, epochs: int, ended: Sequence[Outcome]) -> Any:
    from ray.tune.schedulers import ASHAScheduler  # noqa: PLC0415

    scheduler = ASHAScheduler(
        time_attr=EPOCH,
        metric=BEST,
        mode=goal.better,
        max_t=epochs,
        grace_period=asha.grace_epochs,
        reduction_factor=asha.reduction_factor,
        stop_last_trials=False,  # they end by themselves
    )
    for one in ended:
        trial = SimpleNamespace(trial_id=one.entry.run_key)
        scheduler.on_trial_add(None, trial)
        for evaluation in Evaluations(one.planned, goal).new():
            scheduler.on_trial_result(None, trial, evaluation._asdict())
    return scheduler
