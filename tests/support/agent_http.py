"""The agent's server on a loopback port, and requests to it."""

from __future__ import annotations

import base64
import http.client
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from metricat_agent.config.settings import Address
from metricat_agent.web.server import Server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from metricat_agent.web.access.authentication import Authenticator
    from metricat_agent.web.connection import ConnectionLimits
    from metricat_agent.web.routes import Router

LOOPBACK = Address("127.0.0.1", 0)


class Fetched(NamedTuple):
    """A response and its body."""

    response: http.client.HTTPResponse
    body: bytes

    @property
    def status(self) -> int:
        return self.response.status


@contextmanager
def running(
    router: Router,
    address: Address = LOOPBACK,
    limits: ConnectionLimits | None = None,
    authenticator: Authenticator | None = None,
) -> Iterator[int]:
    """Run a server and yield its port; fail if the server does not stop within five seconds."""
    server = Server(router, [address], limits, authenticator=authenticator)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.addresses[0].port
    finally:
        server.stop()
        thread.join(5)
        assert not thread.is_alive()


def fetch(
    port: int,
    path: str = "/metrics",
    method: str = "GET",
    *,
    host: str = "localhost",
    context: ssl.SSLContext | None = None,
    user: str = "",
) -> Fetched:
    """Send one request, over TLS if there is a context; `user` is ``NAME:PASSWORD``."""
    headers = {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if user else {}
    client = (
        http.client.HTTPSConnection(host, port, timeout=60, context=context)
        if context
        else http.client.HTTPConnection(host, port, timeout=60)
    )
    try:
        client.request(method, path, headers=headers)
        response = client.getresponse()
        return Fetched(response, response.read())
    finally:
        client.close()
