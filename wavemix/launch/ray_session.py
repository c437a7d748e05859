"""A Ray to work with: the cluster that was named, or a small one on this machine that ends with the block.

The house rules for Ray are here: no telemetry, no dashboard, quiet, and a token of its own. It knows no training.
"""

import logging
import os
import secrets
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wavemix.errors import TrainingError, first_line

HOUSE_RULES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_prestart_worker_first_driver": "0",  # two processes that Train has no use for: 3 s of the start on two cores
    "RAY_agent_register_timeout_ms": "120000",  # a node on a busy machine gives up after 30 seconds, and is gone
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # the folders of params.yaml are relative to the project
}


@contextmanager
def ray_session(address: str | None, *, num_cpus: int) -> Iterator[None]:
    """Connect to the cluster at ``address`` (or in RAY_ADDRESS), or start one here with ``num_cpus`` logical CPUs."""
    address = address or os.environ.get("RAY_ADDRESS")
    for name, value in HOUSE_RULES.items():
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory(prefix="wavemix-ray-") as private:
        if address is None and "RAY_AUTH_MODE" not in os.environ:
            # A token of this session alone: Ray would write one into the home folder and use it for ever.
            token = Path(private) / "token"
            token.touch(mode=0o600)
            token.write_text(secrets.token_hex(32))
            os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token))
        warnings.filterwarnings("ignore", module=r"ray\b.*")
        import ray  # noqa: PLC0415  (after its settings, which it reads when it is imported)

        own = {"num_cpus": num_cpus, "include_dashboard": False} if address is None else {}
        if address is None:
            os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # nobody takes this machine away
        _probe(address)
        try:
            _init(address, own)
        except Exception as error:  # Ray raises bare ones, too
            where = f"the cluster at {address}" if address else "a Ray on this machine"
            raise TrainingError(f"cannot use {where}: {first_line(error)}") from error
        try:
            yield
        finally:
            ray.shutdown()
            if os.environ.get("RAY_AUTH_TOKEN_PATH", "").startswith(private):
                del os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN_PATH"]


def _init(address: str | None, own: dict[str, Any]) -> None:
    """Ray's own start, and once more where a busy machine was too slow for it: it gives up after 30 seconds."""
    import ray  # noqa: PLC0415

    for last in (False, True):
        try:
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
        except Exception as error:
            if last or "timed out during startup" not in str(error):
                raise
            ray.shutdown()
        else:
            return


def _probe(address: str | None) -> None:
    """Ask whether anybody listens there: Ray itself would wait for many minutes before it says so."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except OSError as error:
            raise TrainingError(
                f"launch.address: no Ray answers at {address} ({error.strerror or error}); start one with `ray start`, "
                "or set it to null (and unset RAY_ADDRESS) to start one here"
            ) from None
