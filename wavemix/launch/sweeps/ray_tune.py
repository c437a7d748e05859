"""Sweeps: Ray Tune over Ray Train. It decides how many trials run at once and for how long, and what is made of them.

Each trial is an ordinary run with an identity of its own, and what there is to know of a sweep lies in our own files
(``launch.sweep``). A sweep that was killed goes on from these: runs that ended are not done again, others go on from
their checkpoints, and a new sampler and scheduler are told what the old ones knew. Tune's own files are thrown away.
"""

import logging
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wavemix.config import Params, Sweep, changed_experiment, check_sweep
from wavemix.errors import first_line
from wavemix.launch.plan import plan, tracked_run
from wavemix.launch.progress import bar
from wavemix.launch.ray_session import ray_session
from wavemix.launch.ray_train import resources_of_worker
from wavemix.launch.record import recorded
from wavemix.launch.sweeps.capacity import trials_at_once
from wavemix.launch.sweeps.ray_search import Left, build_scheduler, left_of, optuna_search, random_search
from wavemix.launch.sweeps.sweep import (
    Outcome,
    Shared,
    is_open,
    outcome_of,
    ranked,
    read_entries,
    seconds_spent,
    sweep_key,
    write_results,
)
from wavemix.tasks import TASKS
from wavemix.tracking.mirror import Mirror, note_end
from wavemix.tracking.mlflow import add_results

log = logging.getLogger(__name__)

SLOTS = 10_000  # into which Ray divides a resource


def run_sweep(params: Params, name: str) -> None:
    """Run the sweep's trials, or go on with them, and write ``trials.csv`` and ``best.yaml`` to its results.

    A trial that fails ends no other one. It is named among the results, and tried again when the sweep is run again.

    Raises:
        ConfigError: Its sampler and scheduler do not fit its experiment.
        TrainingError: There is no room for a trial's workers, or no trial has a score.
    """
    check_sweep(params, name)
    sweep, settings = params.sweeps[name], params.launch
    shared = _shared(params, name)
    results = Path(params.storage.results) / "sweeps" / name
    with recorded(shared.parent, shared.folder, params.tracking):
        outcomes = _outcomes(shared)
        seconds = sweep.max_hours * 3600 - seconds_spent(shared.folder) if sweep.max_hours else None
        left = left_of(sweep, outcomes)
        if left.num_trials and (seconds is None or seconds > 0):
            # The trials share what one training would have had.
            workers = max(settings.most_workers, sweep.workers_per_trial)
            with ray_session(settings.address, num_cpus=workers * settings.cpus_per_worker):
                _run_trials(shared, sweep, left, seconds)
            outcomes = _outcomes(shared)
        if not any(is_open(one) for one in outcomes):
            shutil.rmtree(shared.folder / "handed", ignore_errors=True)
        _tell_ends(shared, outcomes)
        write_results(results, sweep, outcomes)
    if params.tracking.mlflow_uri and outcomes[0].best:
        files = [results / "trials.csv", results / "best.yaml"]
        score = {f"best/{shared.goal.metric}": outcomes[0].best.score}
        add_results(params.tracking.mlflow_uri, shared.parent.experiment, shared.parent.run_key, score, files)


def _shared(params: Params, name: str) -> Shared:
    sweep = params.sweeps[name]
    changes = {"launcher": "ray", "num_workers": sweep.workers_per_trial}
    params = params.model_copy(update={"launch": params.launch.model_copy(update=changes)})
    base = changed_experiment(params.experiments[sweep.experiment], sweep.overrides, f"sweeps.{name}.overrides")
    planned = plan(params, name, base)
    key = sweep_key(sweep, planned)
    return Shared(
        params,
        name,
        base,
        goal=TASKS[base.task.name](base.task, planned.manifest.classes).goal,
        folder=Path(params.storage.runs).absolute() / "tune" / f"{name}-{key}",
        parent=replace(tracked_run(planned, params), run_key=f"sweep-{key}", name=name),
    )


def _outcomes(shared: Shared) -> list[Outcome]:
    entries = read_entries(shared.folder)
    return ranked([outcome_of(entry, shared.params, shared.name, shared.base) for entry in entries], shared.goal)


def _run_trials(shared: Shared, sweep: Sweep, left: Left, seconds: float | None) -> None:
    import ray  # noqa: PLC0415
    from ray import tune  # noqa: PLC0415
    from ray._private.state import available_resources_per_node  # noqa: PLC0415  (there is no other way to ask)

    from wavemix.launch.sweeps.ray_trial import Trial  # noqa: PLC0415
    from wavemix.launch.sweeps.ray_watch import Deadline, Watch  # noqa: PLC0415

    settings, goal = shared.params.launch, shared.goal
    at_once = trials_at_once(
        list(available_resources_per_node().values()),
        resources_of_worker(settings),
        workers=sweep.workers_per_trial,
        most=sweep.max_concurrent,
    )
    # A trial's own process stays on this node, and takes one of its slots until its workers are gone: a share of a
    # resource that every node has for itself, so that nothing is taken that workers need.
    here = ray.get_runtime_context().get_node_id()
    (node,) = [node for node in ray.nodes() if node["NodeID"] == here]
    marker = next(mark for mark in node["Resources"] if mark.startswith("node:") and "__" not in mark)

    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # Ctrl-C ends a sweep like all else
    os.environ["TUNE_PRINT_ALL_TRIAL_ERRORS"] = "0"
    os.environ["TUNE_FORCE_TRIAL_CLEANUP_S"] = str(int(settings.hang_seconds) + 120)  # for a last checkpoint
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # errors are among the results
    epochs = sum(phase.num_epochs for phase in shared.base.recipe.phases)
    search = optuna_search(sweep, left, goal) if sweep.sampler == "optuna" else random_search(sweep, left)
    scratch = shared.folder / "ray"
    shutil.rmtree(scratch, ignore_errors=True)
    with bar(f"{shared.name} (epochs)", sweep.num_trials * epochs) as show:
        deadline = Deadline(seconds)
        watch = Watch(
            shared.folder,
            deadline,
            goal,
            epochs=epochs,
            done=sweep.num_trials - left.num_trials,
            best=next((one.best.score for one in left.ended if one.best), None),
            show=show,
        )
        tune.run(
            tune.with_resources(tune.with_parameters(Trial, shared=shared), {marker: SLOTS // at_once / SLOTS}),
            **search,
            scheduler=build_scheduler(sweep, goal, epochs, left.ended, has_room=at_once >= left.num_trials),
            max_concurrent_trials=at_once if sweep.sampler == "optuna" else None,
            stop=deadline,
            callbacks=[watch],
            storage_path=str(scratch),
            name="trials",
            trial_dirname_creator=lambda trial: trial.trial_id,
            verbose=0,
            raise_on_failed_trial=False,
        )
    shutil.rmtree(scratch, ignore_errors=True)


def _tell_ends(shared: Shared, outcomes: Sequence[Outcome]) -> None:
    """Name the trials that failed, and end in MLflow those that Tune ended: they may have had no time for it."""
    for one in outcomes:
        if one.status == "failed":
            print(f"{shared.name}: trial {one.entry.run_key} failed: {one.entry.error}", file=sys.stderr)
    early = [one for one in outcomes if one.status == "stopped early"]
    for one in early:
        if not (one.planned.run_dir / "ended.json").exists():
            note_end(one.planned.run_dir, "KILLED")
    if (uri := shared.params.tracking.mlflow_uri) is None:
        return
    try:
        for one in early:
            tracked = tracked_run(one.planned, shared.params, parent=shared.parent)
            Mirror(uri, replace(tracked, tags={**tracked.tags, "stopped_early": "true"}), one.planned.run_dir).send()
    except Exception as error:  # whatever it is: the results are in their files
        log.warning("MLflow at %s lacks the end of some trials: %s", uri, first_line(error))
