"""Many calls of one function in processes of this machine. It knows nothing of what they do."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any

from wavemix.errors import WaveMixError

AHEAD = 2
"""Calls that wait for each process, so that none is idle and no million arguments stand in a queue."""


def in_processes(num_workers: int) -> Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[Any]]:
    """A function like ``map`` that gives the results in the order in which they come.

    When it is left early, by an error or by Ctrl-C, or its process is killed, the workers end at once.
    """

    def call(function: Callable[[Any], Any], arguments: Sequence[Any]) -> Iterator[Any]:
        workers = min(num_workers, len(arguments))
        if workers <= 1:
            yield from map(function, arguments)
            return
        # forkserver: a fork of a process that runs threads (Ray's, torch's) can deadlock.
        context = multiprocessing.get_context("forkserver")
        ours, theirs = context.Pipe(duplex=False)
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_obey, initargs=(ours,))
        left, running = iter(arguments), set[Future[Any]]()
        try:
            while True:
                for argument in left:
                    running.add(pool.submit(function, argument))
                    if len(running) >= workers * AHEAD:
                        break
                if not running:
                    break
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
            pool.shutdown()
        except BrokenProcessPool:
            raise WaveMixError(
                "a worker process was killed (out of memory?); what is done stays: run it again, or with fewer "
                "workers (launch.prepare_workers)"
            ) from None
        finally:
            theirs.close()
            pool.shutdown(cancel_futures=True)
            ours.close()

    return call


def _obey(boss: Connection) -> None:
    """End when the other end of the pipe closes, by intent or by death; and leave Ctrl-C to the boss."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        boss.poll(None)
        os._exit(1)

    threading.Thread(target=watch, name="obey", daemon=True).start()
