"""HTTP server for few clients and short requests.

The server uses one thread for each connection and limits the number of connections. Above the limit a client waits
briefly for a slot, and gets 503 without one. The connection that has been waiting longest for a request gives up its
slot.
Every request must arrive, and every response must be received, within a deadline that single bytes do not extend.
Health endpoints never depend on a scrape.
"""

from __future__ import annotations

import errno
import logging
import selectors
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from metricat_agent.config.settings import Address
from metricat_agent.web.admission import AdmissionControl
from metricat_agent.web.connection import Connection, ConnectionLimits
from metricat_agent.web.http_parser import MAX_HEAD, BadRequestError, Request, Response, encode_response
from metricat_agent.web.listener import BACKLOG, ListenError, listen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_agent.web.access.authentication import Authenticator
    from metricat_agent.web.routes import Router

_LOG = logging.getLogger(__name__)
_ACCESS = logging.getLogger("metricat_agent.access")
_FULL = encode_response(
    Response(503, b"too many connections: retry after 1 second\n", headers=(("Retry-After", "1"),)), None, close=True
)
_TICK = 0.01
"""Seconds between two checks for a free slot while a client waits."""


def host_of(address: object) -> str:
    """Return the host of a client's address. macOS has no address for a client that has already disconnected."""
    return str(address[0]) if isinstance(address, tuple) and address else "unknown"


class Server:
    """HTTP server: listens as soon as it is created; responds while `run` runs."""

    def __init__(  # noqa: PLR0913 -- keywords with their own names
        self,
        router: Router,
        addresses: Sequence[Address],
        limits: ConnectionLimits | None = None,
        *,
        authenticator: Authenticator | None = None,
        on_descriptor_exhaustion: Callable[[], None] = lambda: None,
        after_response: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_descriptor_exhaustion` is called to close descriptors when none is free. Raises `ListenError`."""
        self._router = router
        self._limits = limits or ConnectionLimits()
        self._authenticator = authenticator
        self._on_descriptor_exhaustion = on_descriptor_exhaustion
        self._after_response = after_response
        self._admission = AdmissionControl(self._limits)
        self._stopping = False
        self._listeners: list[socket.socket] = []
        try:
            for address in addresses:
                self._listeners.append(listen(address))
        except ListenError:
            for listener in self._listeners:
                listener.close()
            raise
        self._wakeup, self._wake = socket.socketpair()
        self._wake.settimeout(0)

    @property
    def addresses(self) -> list[Address]:
        """The addresses in use; for port 0, with the port that the kernel chose."""
        return [Address(*listener.getsockname()[:2]) for listener in self._listeners]

    def run_until_signal(self) -> None:
        """Serve until SIGTERM or SIGINT. Call it from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        if sys.platform == "win32":
            signal.signal(signal.SIGBREAK, lambda *_: self.stop())
            signal.set_wakeup_fd(self._wake.fileno())  # a signal does not interrupt select(2) there
        self.run()

    def stop(self) -> None:
        """Make `run` return. Signal handlers and any thread may call it."""
        self._stopping = self._router.stopping = True
        with suppress(OSError):
            self._wake.send(b"x")

    def run(self) -> None:
        """Accept clients until stopped; then finish the running responses, for at most `ConnectionLimits.drain`."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakeup, selectors.EVENT_READ)
            for listener in self._listeners:
                selector.register(listener, selectors.EVENT_READ, listener)
            while not self._stopping:
                for key, _ in selector.select(_TICK if self._admission.has_waiting else None):
                    if key.data is not None:
                        self._accept(key.data)
                self._admit()
        for listener in self._listeners:
            for _ in range(BACKLOG):  # closing the listener would cut off the clients in its backlog
                if not self._accept(listener):
                    break
            listener.close()
        self._drain()
        self._wakeup.close()
        self._wake.close()

    def _accept(self, listener: socket.socket) -> bool:
        """Accept the next client; return whether there was one."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                _LOG.warning(
                    "cannot accept a connection: %s; closing cached files, and refusing the clients that wait",
                    error.strerror,
                )
                self._on_descriptor_exhaustion()
                for waiting, _ in self._admission.drain():
                    self._refuse(waiting)
                self._admission.free_a_slot()
                time.sleep(0.1)  # the client is still in the backlog, so the selector would return immediately
            return False
        host = host_of(address)
        if self._admission.admits((client, host)):
            self._begin(client, host)
        return True

    def _admit(self) -> None:
        """Serve the waiting clients that get a slot, and refuse those that waited too long."""
        for client in self._admission.admitted():
            self._begin(*client)
        for socket_, _ in self._admission.expired():
            self._refuse(socket_)

    def _begin(self, client: socket.socket, host: str) -> None:
        connection = Connection(client, self._limits)
        thread = threading.Thread(target=self._serve, args=(connection, host), daemon=True)
        self._admission.add(connection, thread)
        try:
            thread.start()
        except RuntimeError:  # the limit on processes prevents a new thread
            self._admission.discard(connection)
            self._refuse(client)

    def _refuse(self, client: socket.socket) -> None:
        """Send 503, unless the client must use TLS; close the connection without waiting for the client."""
        client.settimeout(0)
        if self._authenticator is None or not self._authenticator.tls_enabled:
            with suppress(OSError):
                client.recv(MAX_HEAD)  # unread data at closing would make the kernel discard the response
            with suppress(OSError):
                client.send(_FULL)
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        client.close()

    def _serve(self, connection: Connection, client: str) -> None:
        """Respond to one client's requests until the client closes or is too slow, or the server stops."""
        try:
            if self._authenticator is not None:
                connection.secure(self._authenticator.handshake)
            while (request := connection.next_request()) is not None:
                if self._authenticator is not None and not connection.was_secured_by(
                    self._authenticator.current().context
                ):
                    break  # the TLS rules have changed since the handshake
                started = time.perf_counter()
                response = self._safe_response(request, certified=connection.is_certified)
                keep = request.keeps_alive and not self._stopping and not self._admission.has_waiting
                data = encode_response(response, request, close=not keep)
                connection.send(data)
                self._after_response()
                _ACCESS.info(
                    "%s %s %s %d %d bytes %.1f ms",
                    *(client, request.method, request.path, response.status, len(data)),
                    (time.perf_counter() - started) * 1000,
                )
                if not keep:
                    break
            if connection.is_aborted and not connection.was_answered:
                connection.send(_FULL)
        except BadRequestError as error:
            _ACCESS.info("%s refused: %s", client, error)
            with suppress(OSError):
                connection.send(encode_response(Response(error.status, f"{error}\n".encode()), None, close=True))
        except OSError as error:
            _LOG.debug("the connection of client %s failed: %s", client, error)
        finally:
            connection.close()
            self._admission.discard(connection)

    def _safe_response(self, request: Request, *, certified: bool) -> Response:
        """Return the response to a request; 500 for an error of the agent's own."""
        authenticator = self._authenticator
        try:
            rejection = authenticator.reject(request, certified=certified) if authenticator is not None else None
            response = rejection or self._router.respond(request)
        except Exception:  # noqa: BLE001 -- the client gets 500, the log has the trace, the server continues
            _LOG.exception("internal error in the request for %s; the agent returns 500", request.path)
            return Response(500, b"internal error: see the agent's log\n")
        return authenticator.with_headers(response) if authenticator is not None else response

    def _drain(self) -> None:
        """Refuse the waiting clients, abort idle connections, and wait for the others."""
        deadline = time.monotonic() + self._limits.drain
        for client, _ in self._admission.drain():
            self._refuse(client)
        for thread in self._admission.close_idle():
            thread.join(max(deadline - time.monotonic(), 0))
