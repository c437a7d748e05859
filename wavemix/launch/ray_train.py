"""Training on Ray Train: DDP over any number of workers, restarted when one dies. It knows no data and no model."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wavemix import errors
from wavemix.config import Launch
from wavemix.errors import GivenUpError, OutOfMemoryError, WaveMixError, WorkersError
from wavemix.files import write_aside
from wavemix.launch.base import Job, runtime_of, work
from wavemix.launch.ray_session import ray_session
from wavemix.launch.stop import forget_stop, stopped_by_sigterm
from wavemix.training.checkpoint import newest_name
from wavemix.training.requests import Request

log = logging.getLogger(__name__)

FAILED = "failed.json"
"""In a run's folder: an error that no restart can mend."""


class _Waiting(NamedTuple):
    """How long Ray waits for room for a number of workers, and how often it begins anew with that."""

    seconds: int
    retries: int


FIXED = _Waiting(seconds=600, retries=2)  # until lost nodes are back, or an autoscaler's are there
ELASTIC = _Waiting(seconds=30, retries=60)  # it may still count a node that is gone, and does not the next time


def launch(job: Job, settings: Launch) -> None:
    """Train over ``num_workers`` workers.

    Raises:
        TrainingError: A worker's own error, or more failures than ``max_failures``.
    """
    # One more than the workers need: Ray's own actors must never wait for them.
    num_cpus = settings.most_workers * settings.cpus_per_worker + 1
    # In this order: Ray takes the signal for itself when it starts.
    with ray_session(settings.address, num_cpus=num_cpus), stopped_by_sigterm(job.run_dir):
        _tell_of_waiting(settings)
        while True:
            before = newest_name(job.run_dir / "checkpoints")
            try:
                return fit(job, settings)
            except WorkersError:
                # Ray counts failures over the whole run, which would end each that is long enough.
                if newest_name(job.run_dir / "checkpoints") == before:
                    raise


def _tell_of_waiting(settings: Launch) -> None:
    """Ray itself waits without a word."""
    import ray  # noqa: PLC0415

    there, fewest = ray.cluster_resources(), settings.fewest_workers
    lacking = [
        f"{fewest * each:g} {kind} (it has {there.get(kind, 0):g})"
        for kind, each in resources_of_worker(settings).items()
        if there.get(kind, 0) < fewest * each
    ]
    if lacking:
        log.warning("waiting for nodes: %d workers need %s of the cluster", fewest, " and ".join(lacking))


def fit(job: Job, settings: Launch) -> None:
    """One Ray Train run in the Ray that is there. Its name is the run key; restarting it goes on from the run's own
    checkpoints, which Ray is told of and does not copy."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig  # noqa: PLC0415
    from ray.train.torch import TorchConfig, TorchTrainer  # noqa: PLC0415
    from ray.train.v2.api.config import LoggingConfig  # noqa: PLC0415

    from wavemix.launch.ray_failures import Failures, explained  # noqa: PLC0415

    gpus, workers = settings.gpus_per_worker, settings.num_workers
    waiting = FIXED if isinstance(workers, int) else ELASTIC
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", str(waiting.seconds))
    trainer = TorchTrainer(
        _worker,
        train_loop_config={
            "job": job,
            "settings": settings,
            "nodes_may_go": os.environ.get("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER") != "0",
        },
        # Longer than the watchdog, which tells more.
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo", timeout_s=int(settings.hang_seconds) + 60),
        scaling_config=ScalingConfig(
            num_workers=workers if isinstance(workers, int) else (workers.min, workers.max),
            use_gpu=gpus > 0,
            resources_per_worker=resources_of_worker(settings),
            placement_strategy=settings.placement.upper(),
        ),
        run_config=RunConfig(
            name=job.run_key,
            storage_path=str(job.run_dir / "ray"),
            failure_config=FailureConfig(
                max_failures=settings.max_failures,
                max_preemption_failures=-1 if settings.max_preemptions is None else settings.max_preemptions,
                controller_failure_limit=waiting.retries,  # Ray would go on for ever
            ),
            worker_runtime_env={"env_vars": _environment(settings)},
            logging_config=LoggingConfig(log_level="ERROR"),
            callbacks=[Failures(job.run_dir, job.run_dir / FAILED)],
        ),
    )
    (job.run_dir / FAILED).unlink(missing_ok=True)
    forget_stop(job.run_dir)
    try:
        trainer.fit()
    except Exception as error:
        _raise_own(job)
        raise explained(error, settings, resources_of_worker(settings)) from error
    _raise_own(job)


def resources_of_worker(settings: Launch) -> dict[str, float]:
    """Of each worker, by Ray's names; memory in bytes."""
    resources: dict[str, float] = {"CPU": settings.cpus_per_worker, **settings.resources_per_worker}
    if settings.gpus_per_worker:
        resources["GPU"] = settings.gpus_per_worker
    if settings.memory_gb_per_worker:
        resources["memory"] = int(settings.memory_gb_per_worker * 2**30)
    return resources


def _environment(settings: Launch) -> dict[str, str]:
    """Of the workers: over which network they exchange gradients."""
    if settings.network_interface is None:
        return {}
    return {f"{library}_SOCKET_IFNAME": settings.network_interface for library in ("GLOO", "NCCL")}


def _worker(config: dict[str, Any]) -> None:
    """What Ray runs in each worker, in a process group that Ray has set up."""
    import ray.train  # noqa: PLC0415
    import ray.train.torch  # noqa: PLC0415

    context, job = ray.train.get_context(), config["job"]
    if (job.run_dir / FAILED).exists():
        return  # a restart after an error of our own would end with the same one
    noticed: list[Any] = []

    def report(metrics: Mapping[str, float], checkpoint: Path | None) -> None:
        ray.train.report({**metrics, "checkpoint_path": str(checkpoint) if checkpoint else None})

    def asked() -> Request:
        """To save, once for every notice that a node will be taken away."""
        if not config["nodes_may_go"]:
            return Request.NOTHING
        notice = ray.train.get_preemption_info()  # a barrier
        if notice is None or notice in noticed:
            return Request.NOTHING
        noticed.append(notice)
        return Request.SAVE

    node = f"node-{context.get_node_rank()}" if context.get_local_rank() == 0 else None
    runtime = runtime_of(job, config["settings"], ray.train.torch.get_device(), report, asked)
    try:
        work(job, runtime, node=node)
    except (OutOfMemoryError, GivenUpError):
        raise  # the one may be another program's doing, and over by now; of the other another attempt knows nothing
    except WaveMixError as error:
        write_aside(job.run_dir / FAILED, json.dumps([type(error).__name__, str(error)]).encode())
        raise


def _raise_own(job: Job) -> None:
    """Raise the error of our own that a worker ended with, if one did."""
    if (job.run_dir / FAILED).exists():
        kind, text = json.loads((job.run_dir / FAILED).read_text())
        raise getattr(errors, kind)(text)
