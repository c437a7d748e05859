"""A real S3 server on this machine's loopback (moto's), that goes away, comes back, and keeps requests waiting."""

import os
import threading
import urllib.request
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from s3fs import S3FileSystem
from werkzeug.serving import make_server

PATIENCE_SECONDS = 60.0


class S3Server:
    """A server with the port that it got when it started first; what it holds outlives ``stop``.

    ``asked`` are the requests so far, such as ``PUT /bucket/key``.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._port = 0
        self._held = ""
        self._arrived, self._released, self._answered = threading.Event(), threading.Event(), threading.Event()
        self._s3 = DomainDispatcherApplication(create_backend_app)
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """What this process or another one must have in its environment to use the server, and to give up soon."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this process use the server until the test ends."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        S3FileSystem.clear_instance_cache()  # those know the environment that they were made in

    def start(self) -> None:
        self._server = make_server("127.0.0.1", self._port, self._answer, threaded=True, request_handler=_Silent)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def make_bucket(self) -> str:
        """The URL of a new bucket."""
        name = f"bucket-{uuid.uuid4().hex}"  # all servers of a process hold the same
        self._request("PUT", f"/{name}")
        return f"s3://{name}"

    @contextmanager
    def holding(self, request: str) -> Iterator[threading.Event]:
        """Keep requests waiting that contain a text, and answer them at the end; the event tells that one has come."""
        self._arrived, self._released, self._answered = threading.Event(), threading.Event(), threading.Event()
        self._held = request
        try:
            yield self._arrived
        finally:
            self._held = ""
            self._released.set()
            if self._arrived.is_set():
                self._answered.wait(PATIENCE_SECONDS)

    @contextmanager
    def knowing_nobody(self) -> Iterator[None]:
        """Refuse every key while the block runs."""
        self._request("POST", "/moto-api/reset-auth", b"0")
        try:
            yield
        finally:
            self._request("POST", "/moto-api/reset-auth", b"inf")

    def _request(self, method: str, path: str, data: bytes = b"") -> None:
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        urllib.request.urlopen(request, timeout=PATIENCE_SECONDS).close()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        self.asked.append(asked)
        held = bool(self._held) and self._held in asked
        if held:
            self._arrived.set()
            assert self._released.wait(PATIENCE_SECONDS), f"{asked} was held and never let go"
        answer: Iterable[bytes] = self._s3(environ, start_response)
        if held:
            self._answered.set()
        return answer


class _Silent(MotoRequestHandler):
    def log(self, *_: object) -> None:
        pass


@contextmanager
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    try:
        yield server
    finally:
        server.stop()
