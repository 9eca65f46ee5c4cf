"""Serves pages over HTTP, to few clients and none of them for long.

One thread for each connection, and a bound on connections: above it clients wait a moment for a place, which those who
keep us waiting for longest must give up, and are told 503 if there is none. Every request must have come and every
answer must have gone within a deadline that trickling bytes do not move. Health never depends on a scrape.
"""

from __future__ import annotations

import errno
import logging
import selectors
import signal
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from metricat_agent.config.settings import Address
from metricat_agent.web.connection import Connection, Limits
from metricat_agent.web.connection_queue import Lobby
from metricat_agent.web.http_parser import MAX_HEAD, Answer, BadRequestError, Request, encode
from metricat_agent.web.listener import BACKLOG, ListenError, listen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_agent.web.access.authentication import Guard
    from metricat_agent.web.routes import Pages

_LOG = logging.getLogger(__name__)
_ACCESS = logging.getLogger("metricat_agent.access")
_FULL = encode(
    Answer(503, b"too many connections; come back in a second\n", headers=(("Retry-After", "1"),)), None, close=True
)
_TICK = 0.01
"""Seconds after which we look again whether there is a place for who waits for one."""


class Server:
    """Listens from the moment it is made; answers while it runs."""

    def __init__(  # noqa: PLR0913 -- keywords that say what they are
        self,
        pages: Pages,
        addresses: Sequence[Address],
        limits: Limits | None = None,
        *,
        guard: Guard | None = None,
        spare: Callable[[], None] = lambda: None,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        """`spare` is called when no descriptor is left, to give some back; `tidy` when an answer is out."""
        self._pages = pages
        self._limits = limits or Limits()
        self._guard = guard
        self._spare = spare
        self._tidy = tidy
        self._lock = threading.Lock()
        self._connections: dict[Connection, threading.Thread] = {}
        self._lobby = Lobby(self._limits.waiting, self._limits.patience)
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
        """Where it really listens, which matters for port 0."""
        return [Address(*listener.getsockname()[:2]) for listener in self._listeners]

    def run_until_signal(self) -> None:
        """Serve until SIGTERM or SIGINT. For the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        self.run()

    def stop(self) -> None:
        """Make `run` return; callable from a signal handler and from any thread."""
        self._stopping = self._pages.stopping = True
        with suppress(OSError):
            self._wake.send(b"x")

    def run(self) -> None:
        """Accept clients until stopped; then finish the answers under way, but not for ever."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakeup, selectors.EVENT_READ)
            for listener in self._listeners:
                selector.register(listener, selectors.EVENT_READ, listener)
            while not self._stopping:
                for key, _ in selector.select(_TICK if self._lobby else None):
                    if key.data is not None:
                        self._accept(key.data)
                self._admit()
        for listener in self._listeners:
            for _ in range(BACKLOG):  # who is there already would be cut off
                if not self._accept(listener):
                    break
            listener.close()
        self._drain()
        self._wakeup.close()
        self._wake.close()

    def _accept(self, listener: socket.socket) -> bool:
        """Let the next client in; tell whether there was one."""
        try:
            client, (host, *_) = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                _LOG.warning("cannot accept a connection: %s", error.strerror)
                self._spare()
                for waiting, _ in self._lobby.empty():
                    self._refuse(waiting)
                with self._lock:
                    self._break_off_slowest(0)
                time.sleep(0.1)  # the client is still waiting, and the selector would return at once
            return False
        if not self._lobby and len(self._connections) < self._limits.connections:
            self._begin(client, str(host))
        else:
            self._lobby.enter((client, str(host)))
        return True

    def _admit(self) -> None:
        """Give the clients in the lobby the places that are free, or that others may be asked to give up."""
        while (first := self._lobby.ready()) is not None and self._has_place():
            self._lobby.leave(first)
            self._begin(*first)
        for client, _ in self._lobby.late():
            self._refuse(client)

    def _has_place(self) -> bool:
        with self._lock:
            return len(self._connections) < self._limits.connections or self._break_off_slowest(self._limits.grace)

    def _begin(self, client: socket.socket, host: str) -> None:
        connection = Connection(client, self._limits)
        thread = threading.Thread(target=self._serve, args=(connection, host), daemon=True)
        with self._lock:
            self._connections[connection] = thread
        try:
            thread.start()
        except RuntimeError:  # no thread to be had: a limit on processes
            with self._lock:
                del self._connections[connection]
            self._refuse(client)

    def _refuse(self, client: socket.socket) -> None:
        """Say that we are full, without waiting for the client to take it."""
        client.settimeout(0)
        if self._guard is None or not self._guard.speaks_tls:
            with suppress(OSError):
                client.recv(MAX_HEAD)  # what is unread when we close makes the kernel take the answer back
            with suppress(OSError):
                client.send(_FULL)
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        client.close()

    def _break_off_slowest(self, grace: float) -> bool:
        """Make room at the expense of who has kept us waiting for longest; tell whether there was such a one.

        Who was answered already may be broken off at once, others only after so many seconds.
        """
        until = time.monotonic() - grace
        waiting = [
            (since, one)
            for one in self._connections
            if (since := one.waits_since) is not None and (since <= until or (one.was_answered and one.is_idle))
        ]
        if waiting:
            min(waiting, key=lambda pair: pair[0])[1].break_off()
        return bool(waiting)

    def _serve(self, connection: Connection, client: str) -> None:
        """Answer one client's requests until it goes, is too slow, or we stop."""
        try:
            if self._guard is not None:
                connection.secure(self._guard.wrap)
            while (request := connection.next_request()) is not None:
                if self._guard is not None and not connection.was_secured_by(self._guard.current().context):
                    break  # the rules of handshakes have changed since
                started = time.perf_counter()
                answer = self._safe_answer(request, certified=connection.is_certified)
                keep = request.keeps_alive and not self._stopping and not self._lobby
                data = encode(answer, request, close=not keep)
                connection.send(data)
                self._tidy()
                _ACCESS.info(
                    "%s %s %s %d %d bytes %.1f ms",
                    *(client, request.method, request.path, answer.status, len(data)),
                    (time.perf_counter() - started) * 1000,
                )
                if not keep:
                    break
            if connection.is_broken_off and not connection.was_answered:
                connection.send(_FULL)
        except BadRequestError as error:
            _ACCESS.info("%s refused: %s", client, error)
            with suppress(OSError):
                connection.send(encode(Answer(error.status, f"{error}\n".encode()), None, close=True))
        except OSError as error:
            _LOG.debug("a client went away or was too slow: %s", error)
        finally:
            connection.close()
            with self._lock:
                self._connections.pop(connection, None)

    def _safe_answer(self, request: Request, *, certified: bool) -> Answer:
        try:
            refusal = self._guard.refusal(request, certified=certified) if self._guard is not None else None
            answer = refusal or self._pages.answer(request)
        except Exception:  # noqa: BLE001 -- the client is told, the log has the trace, others are served
            _LOG.exception("cannot answer %s", request.path)
            return Answer(500, b"the agent failed; its log says why\n")
        return self._guard.dressed(answer) if self._guard is not None else answer

    def _drain(self) -> None:
        deadline = time.monotonic() + self._limits.drain
        for client, _ in self._lobby.empty():
            self._refuse(client)
        with self._lock:
            threads = list(self._connections.values())
            for connection in self._connections:
                if connection.is_idle:
                    connection.break_off()
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
