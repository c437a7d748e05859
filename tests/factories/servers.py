"""A real MLflow server on this machine's loopback, which can be killed, held still, and started again where it was."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 150.0  # on a busy machine it needs half a minute


class MlflowServer:
    """Not yet started; its port is its own, and its database is a file that outlives it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def database(self) -> str:
        """The same without the server."""
        return f"sqlite:///{self._folder / 'mlflow.db'}"

    def start(self) -> None:
        """Start it; ``wait`` tells when it is there."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--backend-store-uri", self.database, "--artifacts-destination", str(self._folder / "artifacts")]
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--workers", "1"],
                cwd=self._folder,
                env={**kept, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # with its workers it gets its signals at once
            )

    def wait(self) -> None:
        assert self._process is not None
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._is_healthy():
            log = (self._folder / "server.log").read_text()
            assert self._process.poll() is None, f"the MLflow server ended:\n{log}"
            assert time.monotonic() < until, f"the MLflow server did not come up:\n{log}"
            time.sleep(0.2)

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """While the block runs it accepts connections and answers nothing."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
