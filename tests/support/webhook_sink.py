"""A server on a loopback port that stores the JSON bodies that it receives."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATIENCE = 60


@dataclass
class Sink:
    """The received bodies, in their order, and when each arrived."""

    port: int = 0
    received: list[Any] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def wait(self, condition: Callable[[list[Any]], object]) -> list[Any]:
        """Return the received bodies once a condition is true."""
        deadline = time.monotonic() + _PATIENCE
        while not condition(list(self.received)):
            assert time.monotonic() < deadline, self.received
            time.sleep(0.05)
        return list(self.received)


@contextmanager
def webhook_sink() -> Iterator[Sink]:
    """Run the server until the end of the block."""
    sink = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            sink.times.append(time.time())
            sink.received.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sink.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
