"""The hub's HTTP server on a loopback port, with the routes that a test gives."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec
import uvicorn
from starlette.applications import Starlette

from metricat_hub.access.authenticators import Access, ApiKeys
from metricat_hub.access.keys import KeyStore
from metricat_hub.api.problems import Problem, handle_problem
from metricat_hub.api.services import Services
from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from starlette.routing import BaseRoute


class Hub(NamedTuple):
    """A running server, and a key that may write."""

    port: int
    key: str

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request with the key."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", path, body, {"Authorization": f"Bearer {self.key}", **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()


class Answer(NamedTuple):
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@contextmanager
def serving(routes: Sequence[BaseRoute], folder: Path, port: int = 0, store: object = None) -> Iterator[Hub]:
    """Run a server with these routes; its keys are in the folder."""
    keys = KeyStore.open(folder, lambda: int(time.time() * 1000))
    key, _ = keys.create("test", ["write"])
    app = Starlette(routes=list(routes), exception_handlers={Problem: handle_problem, HubError: handle_problem})
    app.state.services = Services(
        store=cast("Any", store), access=Access([ApiKeys(keys)]), now=lambda: int(time.time() * 1000)
    )
    with socket.create_server(("127.0.0.1", port)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield Hub(listener.getsockname()[1], key)
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()
