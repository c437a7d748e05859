"""Training on Ray Train: DDP over any number of workers, restarted when one dies. It knows no data and no model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wavemix.config import Elastic, Launch
from wavemix.errors import TrainingError, WaveMixError
from wavemix.launch.base import Job, work
from wavemix.launch.ray_session import ray_session
from wavemix.training.run import Runtime


def launch(job: Job, settings: Launch) -> None:
    """Train over ``num_workers`` workers.

    Raises:
        TrainingError: A worker's own error, or more failures than ``max_failures``.
    """
    # One more than the workers need: Ray's own actors must never wait for them.
    with ray_session(settings.address, num_cpus=settings.most_workers * settings.cpus_per_worker + 1):
        fit(job, settings, callbacks=[])


def fit(job: Job, settings: Launch, *, callbacks: list[Any]) -> None:
    """One Ray Train run in the Ray that is there. Its name is the run key; restarting it goes on from the run's own
    checkpoints, which Ray is told of and does not copy."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig  # noqa: PLC0415
    from ray.train.torch import TorchConfig, TorchTrainer  # noqa: PLC0415
    from ray.train.v2.api.config import LoggingConfig  # noqa: PLC0415

    gpus = settings.gpus_per_worker
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"job": job},
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo", timeout_s=300),
        scaling_config=ScalingConfig(
            num_workers=settings.num_workers
            if isinstance(settings.num_workers, int)
            else _bounds(settings.num_workers),
            use_gpu=gpus > 0,
            resources_per_worker=_resources(settings),
            placement_strategy=settings.placement.upper(),
        ),
        run_config=RunConfig(
            name=job.run_key,
            storage_path=str(job.run_dir / "ray"),
            # Ray restarts its own controller for ever unless it is told not to.
            failure_config=FailureConfig(max_failures=settings.max_failures, controller_failure_limit=2),
            logging_config=LoggingConfig(log_level="ERROR"),
            callbacks=callbacks,
        ),
    )
    try:
        trainer.fit()
    except Exception as error:
        raise _explained(error, settings) from error


def _bounds(elastic: Elastic) -> tuple[int, int]:
    return elastic.min, elastic.max


def _resources(settings: Launch) -> dict[str, float]:
    """Of each worker, by Ray's names; memory in bytes."""
    resources: dict[str, float] = {"CPU": settings.cpus_per_worker, **settings.resources_per_worker}
    if settings.gpus_per_worker:
        resources["GPU"] = settings.gpus_per_worker
    if settings.memory_gb_per_worker:
        resources["memory"] = int(settings.memory_gb_per_worker * 2**30)
    return resources


def _worker(config: dict[str, Any]) -> None:
    """What Ray runs in each worker, in a process group that Ray has set up."""
    import ray.train  # noqa: PLC0415
    import ray.train.torch  # noqa: PLC0415

    context = ray.train.get_context()

    def report(metrics: Mapping[str, float], checkpoint: Path | None) -> None:
        ray.train.report({**metrics, "checkpoint_path": str(checkpoint) if checkpoint else None})

    node = f"node-{context.get_node_rank()}" if context.get_local_rank() == 0 else None
    work(config["job"], Runtime(ray.train.torch.get_device(), report), node=node)


def _explained(error: Exception, settings: Launch) -> WaveMixError:
    """Ray's report of dead workers, in a line: the first worker's own error."""
    failures: Mapping[int, Exception] = getattr(error, "worker_failures", {})
    for rank, failure in sorted(failures.items()):
        cause = getattr(failure, "cause", None) or failure.__cause__ or failure
        text = str(cause).strip().splitlines()
        return TrainingError(
            f"worker {rank} failed, and so did {settings.max_failures} restarts: "
            f"{type(cause).__name__}: {text[-1] if text else 'no message'}"
        )
    return TrainingError(f"Ray Train gave up: {type(error).__name__}: {str(error).strip().splitlines()[:1]}")
