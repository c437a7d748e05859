"""Sweeps: Ray Tune over Ray Train. It draws settings and ranks trials; each trial is an ordinary experiment with an
identity of its own, so that a trial done before costs nothing.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wavemix.config import Experiment, Params, Sweep, changed_experiment, to_yaml
from wavemix.errors import TrainingError
from wavemix.files import write_aside
from wavemix.launch import ray_train
from wavemix.launch.experiment import Planned, best_of, job_of, plan, prepare_start, tracked_run
from wavemix.launch.ray_session import ray_session
from wavemix.tasks import TASKS, Goal
from wavemix.tracking.mlflow import mirrored, sweep_parent
from wavemix.training.state import Best


class _Trial(NamedTuple):
    values: Mapping[str, Any]
    planned: Planned
    best: Best


def run_sweep(params: Params, name: str) -> None:
    """Run the sweep's trials and write ``trials.csv`` (best first) and ``best.yaml`` (overrides that repeat the best).

    Raises:
        TrainingError: A trial failed; those that did not are kept, and running the sweep again does not repeat them.
    """
    sweep = params.sweeps[name]
    base = changed_experiment(params.experiments[sweep.experiment], sweep.overrides, f"sweeps.{name}.overrides")
    base_plan = plan(params, name, base)
    goal = _goal_of(base_plan)
    parent = sweep_parent(tracked_run(base_plan, params), name)
    # The trials share what one training would have had.
    total = params.launch.most_workers * params.launch.cpus_per_worker
    with ray_session(params.launch.address, num_cpus=max(total, sweep.workers_per_trial) + 1):
        drawn = _run_trials(params, name, base, sweep, goal, parent)
    plans = [plan(params, name, changed_experiment(base, values, f"sweeps.{name}.space")) for values in drawn]
    unfinished = [planned.run_dir for planned in plans if not planned.is_finished()]
    if unfinished:
        raise TrainingError(
            f"sweep {name}: {len(unfinished)} of {len(plans)} trials did not come to their end, the first of them in "
            f"{unfinished[0]}; run it again to go on with these alone"
        )
    trials = [_Trial(values, planned, best_of(planned)) for values, planned in zip(drawn, plans, strict=True)]
    trials.sort(key=lambda trial: trial.best.score, reverse=goal.better == "max")
    target = Path(params.storage.results) / "sweeps" / name
    write_aside(target / "trials.csv", _csv(trials, list(sweep.space)))
    best = {**sweep.overrides, **trials[0].values}
    write_aside(target / "best.yaml", to_yaml({f"experiments.{sweep.experiment}.{leaf}": best[leaf] for leaf in best}))


def _run_trials(
    params: Params, name: str, base: Experiment, sweep: Sweep, goal: Goal, parent: str | None
) -> list[dict[str, Any]]:
    """Let Ray Tune draw and run the trials; returns the values it drew, in its order."""
    import ray  # noqa: PLC0415
    from ray import tune  # noqa: PLC0415
    from ray.tune.integration.ray_train import TuneReportCallback  # noqa: PLC0415
    from ray.tune.search.basic_variant import BasicVariantGenerator  # noqa: PLC0415

    def trial(values: dict[str, Any]) -> None:
        planned = plan(params, name, changed_experiment(base, _undotted(values), f"sweeps.{name}.space"))
        if planned.is_finished():  # by an earlier sweep that drew the same
            tune.report({goal.metric: best_of(planned).score})
            return
        prepare_start(planned)
        with mirrored(tracked_run(planned, params, parent_run_id=parent), planned.run_dir):
            ray_train.fit(job_of(planned, params), settings, callbacks=[TuneReportCallback()])

    settings = params.launch.model_copy(update={"num_workers": sweep.workers_per_trial})
    per_trial = settings.most_workers * settings.cpus_per_worker
    cluster_cpus = int(ray.cluster_resources().get("CPU", 0))
    # A trial's own process takes a sliver of a CPU. Trials that hold a part of their workers would wait for each
    # other for ever, so never more run at once than can have all of theirs.
    concurrent = max(1, (cluster_cpus - 1) // per_trial)
    tuner = tune.Tuner(
        tune.with_resources(trial, {"CPU": 0.01}),
        param_space={key.replace(".", "/"): _domain(leaf) for key, leaf in sweep.space.items()},
        tune_config=tune.TuneConfig(
            metric=goal.metric,
            mode=goal.better,
            num_samples=sweep.num_trials,
            max_concurrent_trials=concurrent,
            search_alg=BasicVariantGenerator(max_concurrent=concurrent, random_state=sweep.seed),
        ),
        run_config=tune.RunConfig(
            name=name, storage_path=str(Path(params.storage.runs).absolute() / "tune"), verbose=0
        ),
    )
    return [_undotted(result.config) for result in tuner.fit()]


def _goal_of(planned: Planned) -> Goal:
    task = planned.experiment.task
    return TASKS[task.name](task, planned.manifest.classes).goal


def _domain(leaf: Any) -> Any:
    from ray import tune  # noqa: PLC0415

    kinds = {
        "choice": lambda values: tune.choice(list(values)),
        "log_uniform": lambda bounds: tune.loguniform(*bounds),
        "uniform": lambda bounds: tune.uniform(*bounds),
    }
    ((kind, value),) = leaf.model_dump().items()
    return kinds[kind](value)  # type: ignore[no-untyped-call]


def _undotted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Tune reads a dot in a name as nesting, so paths travel through it with slashes."""
    return {key.replace("/", "."): value for key, value in values.items()}


def _csv(trials: list[_Trial], leaves: list[str]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["trial", "score", "step", *leaves])
    for trial in trials:
        rows.writerow(
            [trial.planned.run_key, trial.best.score, trial.best.step, *(trial.values[leaf] for leaf in leaves)]
        )
    return text.getvalue().encode()
