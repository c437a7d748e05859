"""Population based training in Ray Tune's terms: how settings change, and when a member pauses. Who goes on from whose
checkpoint is Tune's decision.

Imported once Ray's settings are made: Ray reads them when it is imported.
"""

from typing import Any

import numpy as np
from ray.tune.schedulers import PopulationBasedTraining, TrialScheduler

from wavemix.config import Pbt, Sweep
from wavemix.launch.sweeps.draw import change
from wavemix.launch.sweeps.evaluations import EPOCH, SCORE
from wavemix.launch.sweeps.ray_search import decoded, encoded
from wavemix.tasks import Goal


class Population(PopulationBasedTraining):  # type: ignore[misc]
    """Tune's, whose members pause whenever one of them is about to start; not where all of them have room."""

    def __init__(self, pbt: Pbt, sweep: Sweep, goal: Goal, *, has_room: bool) -> None:
        generator = np.random.default_rng(sweep.seed)

        def explore(config: dict[str, Any]) -> dict[str, Any]:
            values = decoded(config["start"]["values"])
            changed = change(values, sweep.space, resample_prob=pbt.resample_prob, generator=generator)
            return {"start": {**config["start"], "values": encoded(changed)}}

        super().__init__(
            time_attr=EPOCH,
            metric=SCORE,  # and not the best so far: what is handed over is the newest checkpoint
            mode=goal.better,
            perturbation_interval=pbt.every_epochs,
            quantile_fraction=pbt.quantile,
            custom_explore_fn=explore,  # Tune's own leaves the bounds, and gives two trials the same values
            log_config=False,
        )
        self._has_room = has_room

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        decision: str = super().on_trial_result(tune_controller, trial, result)
        pauses = decision == TrialScheduler.PAUSE and self._has_room
        return str(TrialScheduler.CONTINUE) if pauses else decision
