"""Training in this process: alone, or as one rank of those that torchrun started. It knows no Ray."""

import os
from datetime import timedelta

import torch
import torch.distributed as dist

from wavemix.config import Launch
from wavemix.distributed import barrier
from wavemix.launch.base import Job, runtime_of, work
from wavemix.launch.stop import forget_stop, stopped_by_sigterm
from wavemix.training.requests import Request


def is_first_process() -> bool:
    """False in all but one of torchrun's processes: the one that speaks, tracks and writes results."""
    return int(os.environ.get("RANK", "0")) == 0


def launch(job: Job, settings: Launch) -> None:
    """Train here. Under torchrun (its environment is there) every process calls this and becomes a rank."""
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    use_gpu = settings.gpus_per_worker > 0
    device = torch.device("cuda", local_rank) if use_gpu else torch.device("cpu")
    if use_gpu:
        torch.cuda.set_device(device)
    under_torchrun = "RANK" in os.environ and "MASTER_ADDR" in os.environ
    if under_torchrun:
        # Longer than the watchdog, which tells more.
        patience = timedelta(seconds=settings.hang_seconds + 60)
        dist.init_process_group("nccl" if use_gpu else "gloo", timeout=patience)
    if is_first_process():
        forget_stop(job.run_dir)
    barrier()
    # A report is a barrier, as it is under Ray: nobody runs ahead of a checkpoint being written.
    runtime = runtime_of(job, settings, device, lambda _metrics, _checkpoint: barrier(), lambda: Request.NOTHING)
    try:
        node = f"node-{os.environ.get('GROUP_RANK', '0')}" if local_rank == 0 else None
        with stopped_by_sigterm(job.run_dir):
            work(job, runtime, node=node)
    finally:
        if under_torchrun:
            dist.destroy_process_group()
