"""The log of a job on a cluster, printed here as the job writes it. It knows one job, and not what it does.

The client comes from ``ray_job``; nothing here imports Ray.
"""

import asyncio
import sys
import time
from typing import Any

from wavemix.errors import TrainingError

QUIET_SECONDS = 60.0
"""After so long without a line the log is asked for anew: a connection may be dead without anybody noticing."""

PAUSES = (1, 2, 4, 8, 16, 30, *[60] * 10)
"""Seconds between the tries to reach a cluster that was lost: eleven minutes, and then it is given up."""


def follow(client: Any, job: str) -> Any:
    """Print the job's log to stderr as it is written, across lost connections and without a line twice.

    Args:
        client: Ray's ``JobSubmissionClient``.
        job: Its submission id.

    Returns:
        The job's details when it has come to its end.

    Raises:
        TrainingError: The cluster was lost for longer than all ``PAUSES``, or forgot the job.
    """
    tell(f"following the job {job}; Ctrl-C detaches, and the job goes on")
    shown, lost = 0, 0
    while True:
        shown, whole = asyncio.run(_print_log(client, job, shown))
        try:
            details = client.get_job_info(job)
        except (OSError, RuntimeError) as error:
            if "does not exist" in str(error):
                raise TrainingError(f"the cluster knows no job {job} any more; submit it again") from None
            if lost == len(PAUSES):
                raise TrainingError(
                    f"the cluster has not answered for {sum(PAUSES) // 60} minutes ({type(error).__name__})\n"
                    f"the job {job} may go on; the same command attaches to it again"
                ) from None
            if not lost:
                tell("the connection to the cluster was lost; trying again")
            time.sleep(PAUSES[lost])
            lost += 1
            continue
        if details.status.is_terminal():
            if not whole:
                _print_rest(client, job, shown)
            return details
        if details.status == "PENDING":
            tell(f"{job}: {details.message}")
        lost = 0
        time.sleep(1)


async def _print_log(client: Any, job: str, shown: int) -> tuple[int, bool]:
    """Print what comes after the first ``shown`` characters of the log, as the job writes it.

    Returns:
        How many characters are shown now, and whether the log was followed to its end.
    """
    import aiohttp  # noqa: PLC0415  (with which Ray's client speaks)

    seen = 0  # every connection gives the log from its beginning
    try:
        async with asyncio.timeout(QUIET_SECONDS) as quiet:
            async for text in client.tail_job_logs(job):
                print(text[max(0, shown - seen) :], end="", file=sys.stderr, flush=True)
                seen += len(text)
                shown = max(shown, seen)
                quiet.reschedule(asyncio.get_running_loop().time() + QUIET_SECONDS)
    except (OSError, RuntimeError, aiohttp.ClientError):  # TimeoutError is an OSError
        return shown, False
    return shown, True


def _print_rest(client: Any, job: str, shown: int) -> None:
    """Of a job that ended while nobody listened."""
    try:
        rest = client.get_job_logs(job)[shown:]
    except (OSError, RuntimeError):
        rest = f"the end of the log of the job {job} is lost, as the node that had it may be\n"
    print(rest, end="", file=sys.stderr, flush=True)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
