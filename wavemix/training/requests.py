"""What a run is asked for from outside while it trains, heard by all ranks at the same step. It knows no loop.

Ranks have to agree, since a rank that stopped alone would leave the others waiting for its gradients.
"""

import time
from collections.abc import Callable
from enum import IntEnum

import torch

from wavemix.distributed import greatest_over_ranks

LISTEN_EVERY_SECONDS = 1.0
MOST_STEPS = 1000


class Request(IntEnum):
    """A later one includes those before it."""

    NOTHING = 0
    SAVE = 1
    STOP = 2


class Requests:
    """Asks about once a second: often enough for a grace period of some, and too rarely to cost anything.

    Args:
        asked: What this process was asked for; called at the same steps on every rank.
        save_every_seconds: A time after which saving is asked for anyway (None: never).
        device: Where ranks exchange numbers.
    """

    def __init__(self, asked: Callable[[], Request], save_every_seconds: float | None, device: torch.device) -> None:
        self._asked, self._save_every, self._device = asked, save_every_seconds, device
        self._heard_at = self._saved_at = time.monotonic()
        self._steps, self._listen_after = 0, 1

    def after_step(self) -> Request:
        """To be called after every step; the same answer on every rank."""
        self._steps += 1
        if self._steps < self._listen_after:
            return Request.NOTHING
        now = time.monotonic()
        due = self._save_every is not None and now - self._saved_at >= self._save_every
        mine = max(self._asked(), Request.SAVE if due else Request.NOTHING)
        per_step = (now - self._heard_at) / self._steps
        ahead = min(MOST_STEPS, max(1, int(LISTEN_EVERY_SECONDS / max(per_step, 1e-6))))
        heard, ahead = greatest_over_ranks([mine, ahead], self._device)
        self._heard_at, self._steps, self._listen_after = now, 0, ahead
        return Request(heard)

    def saved(self) -> None:
        self._saved_at = time.monotonic()
