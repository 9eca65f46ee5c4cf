"""A server of prepared pages: each client gets the first page of a path at its first request, then the next one."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True)
class Page:
    """One response."""

    body: bytes
    content_type: str = TEXT
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before the response starts."""


class PageServer:
    """The pages by path. The last page of a path is repeated."""

    def __init__(self, pages: Mapping[str, Sequence[Page]]) -> None:
        self.pages = dict(pages)
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Path and headers (in lower case) of each request."""
        self.stopping = threading.Event()
        self._served: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                server.respond(self)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

            def handle_error(self, request: object, client_address: object) -> None:
                """Write nothing when a client closes its connection."""

        self.http = Server(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.http.server_port}"

    def respond(self, request: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        key = (headers.get("user-agent", ""), request.path)
        with self._lock:
            self.requests.append((request.path, headers))
            served = self._served[key]
            self._served[key] += 1
        pages = self.pages.get(request.path, [Page(b"", status=404)])
        page = pages[min(served, len(pages) - 1)]
        self.stopping.wait(page.delay)
        try:
            request.send_response(page.status)
            if page.content_type:
                request.send_header("Content-Type", page.content_type)
            for name, value in page.headers.items():
                request.send_header(name, value)
            if "Content-Length" not in page.headers:
                request.send_header("Content-Length", str(len(page.body)))
            request.end_headers()
            request.wfile.write(page.body)
        except OSError:
            request.close_connection = True


@contextmanager
def page_server(pages: Mapping[str, Sequence[Page]]) -> Iterator[PageServer]:
    """Serve the pages until the end of the block."""
    server = PageServer(pages)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.http.shutdown()
        thread.join()
        server.http.server_close()
