"""A stage of the pipeline as a job on a Ray cluster, which to its caller looks like the stage run here.

The only place that imports the client of Ray's job server. It knows when a job is sent, attached to and done with; what
it is sent is in ``submission``, how it is followed in ``log``, and how its outputs come back in ``parcel``.
"""

import logging
import os
import platform
import shlex
import socket
import tempfile
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from wavemix.config import Params
from wavemix.errors import ConfigError, DataError, TrainingError, first_line
from wavemix.launch.identity import COMMIT, git_commit
from wavemix.launch.jobs.log import follow, tell
from wavemix.launch.jobs.parcel import fetch, leave
from wavemix.launch.jobs.submission import Submission, submission_of, write_folder
from wavemix.launch.ray_session import HOUSE_RULES

LAST_WORDS_SECONDS = 60
"""So long a job that is stopped may write its checkpoint; Ray's own 3 seconds are not enough for one."""

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes, as a shell tells them, of a caller that was interrupted, and of a job that was stopped."""


class _Found(NamedTuple):
    """A job of a submission; the one that is sent after the first has failed is its second attempt."""

    attempt: int
    job: str
    live: bool


def submit(params: Params, stage: str, name: str, *, address: str | None = None) -> int:
    """Have the stage done by a cluster: its log comes to stderr as it is written, its outputs to ``storage.results``.

    The same outcome is worked on once: a live job for it is attached to, and where an earlier one has left its outputs,
    these are all that is asked for. ``address`` goes before ``launch.jobs``.

    Returns:
        The stage's exit code; 130 if the caller was interrupted, while the job goes on.

    Raises:
        ConfigError: It cannot be sent as it is.
        DataError: Something that it needs is missing, or its outputs are not what they should be.
        TrainingError: The cluster cannot be used or was lost, or it could not run the job.
    """
    submission = submission_of(params, stage, name)
    results = Path(params.storage.results)
    if fetch(submission.place, submission.outputs, results):
        tell(f"{submission.id} was done before; its outputs are from {submission.place} (remove it to do it anew)")
        return 0
    client = _connect(address or params.launch.jobs)
    found = _latest(client, submission.id)
    job = found.job if found and found.live else _send(client, submission, found.attempt + 1 if found else 1)
    try:
        details = follow(client, job)
    except KeyboardInterrupt:
        tell(
            f"\ndetached: the job {job} goes on; the same command attaches to it again, "
            f"`wavemix submit --stop {stage} {name}` stops it"
        )
        return INTERRUPTED
    if details.status == "STOPPED":
        tell(f"the job {job} was stopped; submit it again to go on where it was")
        return TERMINATED
    code: int | None = details.driver_exit_code
    if code is None:
        told = str(details.message or details.error_type).strip().splitlines()
        raise TrainingError(f"the job {job} was lost: {told[0][:300]}\nsubmit it again to go on where it was")
    if code == 0 and not fetch(submission.place, submission.outputs, results):
        raise DataError(
            f"{submission.place}: the job {job} left its outputs there, and they are not found from here; "
            "is it the same place on the cluster and on this machine?"
        )
    return code if code >= 0 else 128 - code  # below 0: of the signal that killed it


def stop(params: Params, stage: str, name: str, *, address: str | None = None) -> None:
    """Tell the live job of the stage to write a checkpoint and end. Raises what ``submit`` raises."""
    submission = submission_of(params, stage, name)
    client = _connect(address or params.launch.jobs)
    found = _latest(client, submission.id)
    if found is None or not found.live:
        tell(f"{submission.id}: no such job is running")
        return
    try:
        client.stop_job(found.job)
    except (OSError, RuntimeError) as error:
        raise TrainingError(f"the cluster did not stop the job {found.job}: {_last_line(error)}") from None
    tell(f"the job {found.job} was told to stop, and has {LAST_WORDS_SECONDS} s for a checkpoint")


def _connect(address: str | None) -> Any:
    """A client of the job server at ``address``, whose Ray and Python are ours."""
    if address is None:
        raise ConfigError("launch.jobs: null; set it to the address of a cluster's job server, or give --address")
    url = urlsplit(address)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigError(f"launch.jobs: found {address!r}, needed an address such as http://head:8265")
    try:
        port = url.port or (443 if url.scheme == "https" else 80)
        socket.create_connection((url.hostname, port), timeout=10).close()
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"launch.jobs: no job server answers at {address} ({getattr(error, 'strerror', None) or error}); it is the "
            "dashboard of a cluster's head, at port 8265 if not told otherwise"
        ) from None
    for other in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):  # to Ray they go before the address that is asked for
        os.environ.pop(other, None)
    import ray  # noqa: PLC0415
    from ray.job_submission import JobSubmissionClient  # noqa: PLC0415

    for handler in logging.getLogger("ray").handlers:  # it tells of packages and sockets
        handler.setLevel(logging.WARNING)
    try:
        client = JobSubmissionClient(address)
        theirs = client._do_request("GET", "/api/v0/cluster_metadata").json()["data"]
    except ray.exceptions.AuthenticationError:
        raise TrainingError(
            f"launch.jobs: the cluster at {address} did not take our token; set RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN_PATH to the file that holds it"
        ) from None
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"launch.jobs: no Ray job server at {address}: {first_line(error)}") from None
    for what, ours, found in (
        ("Ray", ray.__version__, str(theirs.get("rayVersion"))),
        ("Python", _minor(platform.python_version()), _minor(str(theirs.get("pythonVersion")))),
    ):
        if ours != found:
            raise TrainingError(f"launch.jobs: the cluster at {address} has {what} {found}, and {ours} is needed")
    return client


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _latest(client: Any, identity: str) -> _Found | None:
    """Its last attempt."""
    try:
        jobs = client.list_jobs()
    except (OSError, RuntimeError) as error:
        raise TrainingError(f"the cluster does not tell its jobs: {first_line(error)}") from None
    found = []
    for details in jobs:
        base, _, number = (details.submission_id or "").partition(".")
        if base == identity:
            found.append(_Found(int(number or 1), details.submission_id, not details.status.is_terminal()))
    return max(found, default=None)


def _send(client: Any, submission: Submission, attempt: int) -> str:
    """The job that was sent, or the one that another caller sent in the same moment."""
    job = submission.id if attempt == 1 else f"{submission.id}.{attempt}"
    settings = submission.params.launch
    memory = settings.memory_gb_per_worker
    own = {
        "entrypoint_num_cpus": settings.cpus_per_worker,
        "entrypoint_num_gpus": settings.gpus_per_worker,
        "entrypoint_memory": int(memory * 2**30) if memory else None,
        "entrypoint_resources": settings.resources_per_worker,
    }
    with tempfile.TemporaryDirectory(prefix="wavemix-job-") as folder:
        write_folder(submission, Path(folder))
        tell(f"sending the job {job} to {client.get_address()}")
        if submission.inputs:
            leave(submission.inputs, f"{submission.place}/inputs")
        try:
            client.submit_job(
                submission_id=job,
                entrypoint=_commands(submission),
                runtime_env={
                    "working_dir": folder,
                    "env_vars": {
                        **HOUSE_RULES,
                        COMMIT: git_commit(),
                        "RAY_JOB_STOP_WAIT_TIME_S": str(LAST_WORDS_SECONDS),
                    },
                },
                **(own if submission.computes else {}),  # a place of its own on the cluster
            )
        except (OSError, RuntimeError) as error:
            if f"{job} already exists" not in str(error):
                raise TrainingError(f"the cluster did not take the job {job}: {_last_line(error)}") from None
    return job


def _commands(submission: Submission) -> str:
    """For a shell: its exit code is that of the first of them that fails."""
    parcel = "wavemix.launch.jobs.parcel"
    commands = [
        [f"pipelines.{submission.stage}", submission.name],
        [parcel, "leave", submission.params.storage.results, submission.outputs, submission.place],
    ]
    if submission.inputs:
        commands.insert(0, [parcel, "fetch", ".", ".", f"{submission.place}/inputs"])
    return " && ".join(shlex.join(["python", "-m", *command]) for command in commands)


def _last_line(error: Exception) -> str:
    """Of a traceback that came from the cluster."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
