"""A server on this machine, of files in memory, with the faults that real ones have."""

import contextlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What is served, how, and what was asked for."""

    files: dict[str, bytes]
    ranges: bool = True
    length: bool = True  # says how long an answer is
    cut_after: list[int] = field(default_factory=list)  # bytes of the first answers, after which the line goes dead
    busy: int = 0  # answers 503 so many times
    shift: int = 0  # sends other ranges than were asked for
    address: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path and Range


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            _answer(self, site)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(request: BaseHTTPRequestHandler, site: Site) -> None:
    asked = request.headers["Range"]
    site.asked.append((request.path, asked))
    content = site.files.get(request.path)
    if site.busy:
        site.busy -= 1
        return request.send_error(503)
    if content is None:
        return request.send_error(404)
    start = int(re.findall(r"\d+", asked)[0]) if asked and site.ranges else 0
    if start and start >= len(content):
        request.send_response(416)
        request.send_header("Content-Range", f"bytes */{len(content)}")
        return request.end_headers()
    start += site.shift if start else 0
    request.send_response(206 if start else 200)
    if start:
        request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    if site.length:
        request.send_header("Content-Length", str(len(content) - start))
    request.end_headers()
    with contextlib.suppress(ConnectionError):  # who asked may have hung up, for instance for a full disk
        request.wfile.write(content[start:][: site.cut_after.pop(0) if site.cut_after else None])
    return None
