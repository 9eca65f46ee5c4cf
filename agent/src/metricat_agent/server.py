"""Serves scrapes over HTTP, to few clients and none of them for long.

One thread for each connection, and a bound on connections; every request must have come and every answer must have
gone within a deadline that trickling bytes do not move. Health never depends on a scrape.
"""

from __future__ import annotations

import errno
import logging
import select
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent import __version__
from metricat_agent.exposition import CONTENT_TYPE
from metricat_agent.settings import Address
from metricat_agent.wire import MAX_HEAD, Answer, BadRequestError, Request, encode, parse_head

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LOG = logging.getLogger(__name__)
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class ListenError(Exception):
    """An address that cannot be listened on; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take: seconds, connections, scrapes at a time."""

    idle: float = 90
    """For the next request to begin: longer than the usual intervals of scrapes."""
    request: float = 5
    answer: float = 10
    drain: float = 4
    """For answers under way, once we are told to stop."""
    connections: int = 32
    scrapes: int = 2
    """More at a time would not be sooner done: Python computes in one thread; each costs memory of its own."""


def listen(address: Address) -> socket.socket:
    """Return a listening socket; without an IP address it takes IPv6 and IPv4, or IPv4 alone if need be."""
    try:
        if not address.ip:
            try:
                return _bound(socket.AF_INET6, ("::", address.port), dual=True)
            except OSError as error:
                if error.errno not in _NO_IPV6:
                    raise
            return _bound(socket.AF_INET, ("0.0.0.0", address.port))  # noqa: S104 -- asked for: every address
        family, _, _, _, where = socket.getaddrinfo(address.ip, address.port, type=socket.SOCK_STREAM)[0]
        return _bound(family, where, dual=address.ip == "::")
    except OSError as error:
        why = "something else listens there" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise ListenError(
            f"cannot listen on {address}: {why}; free it or choose another with --web.listen-address"
        ) from error


def _bound(family: int, where: tuple[object, ...], *, dual: bool = False) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if dual:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(where)
        listener.listen(128)
        listener.settimeout(0)
    except BaseException:
        listener.close()
        raise
    return listener


class Connection:
    """One client's socket, used by one thread; the server may break it off from another."""

    def __init__(self, client: socket.socket, limits: Limits) -> None:
        self._client = client
        self._limits = limits
        self._rest = b""
        self.idle_since: float | None = time.monotonic()

    def next_request(self) -> Request | None:
        """Return the next request; None if the client is gone or too slow. Raises `BadRequestError`."""
        deadline = time.monotonic() + (self._limits.request if self._rest else self._limits.idle)
        while b"\r\n\r\n" not in self._rest:
            if len(self._rest) > MAX_HEAD:
                raise BadRequestError(431)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._client.settimeout(left)
            chunk = self._client.recv(4096)
            if not chunk:
                return None
            if not self._rest:
                self.idle_since = None
                deadline = time.monotonic() + self._limits.request
            self._rest += chunk
        self.idle_since = None
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        return parse_head(head)

    def send(self, data: bytes) -> None:
        """Send all within the deadline for answers (sendall's timeout is for the whole)."""
        self._client.settimeout(self._limits.answer)
        self._client.sendall(data)
        self.idle_since = time.monotonic()

    def break_off(self) -> None:
        """Wake the thread that uses it and let it end."""
        self.idle_since = None
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Give the socket back."""
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)
        self._client.close()


class Server:
    """Listens from the moment it is made; answers while it runs."""

    def __init__(
        self,
        scrape: Callable[[], str],
        addresses: Sequence[Address],
        telemetry_path: str = "/metrics",
        limits: Limits | None = None,
    ) -> None:
        self._scrape = scrape
        self._telemetry_path = telemetry_path
        self._limits = limits or Limits()
        self._scrapes = threading.BoundedSemaphore(self._limits.scrapes)
        self._lock = threading.Lock()
        self._connections: dict[Connection, threading.Thread] = {}
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
        self._stopping = True
        with suppress(OSError):
            self._wake.send(b"x")

    def run(self) -> None:
        """Accept clients until stopped; then finish the answers under way, but not for ever."""
        poll = select.poll()
        by_descriptor = {listener.fileno(): listener for listener in self._listeners}
        for descriptor in (*by_descriptor, self._wakeup.fileno()):
            poll.register(descriptor, select.POLLIN)
        while not self._stopping:
            for descriptor, _ in poll.poll():
                if listener := by_descriptor.get(descriptor):
                    self._accept(listener)
        for listener in self._listeners:
            listener.close()
        self._drain()
        self._wakeup.close()
        self._wake.close()

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request; the only place that knows the paths."""
        pages: dict[str, Callable[[], Answer]] = {
            self._telemetry_path: self._metrics,
            "/": self._landing,
            "/-/healthy": lambda: Answer(200, b"healthy\n"),
            "/-/ready": lambda: Answer(503, b"stopping\n") if self._stopping else Answer(200, b"ready\n"),
        }
        page = pages.get(request.path)
        if page is None:
            return Answer(404, f"nothing here; the metrics are at {self._telemetry_path}\n".encode())
        if request.method not in ("GET", "HEAD"):
            return Answer(405, b"only GET and HEAD\n", headers=(("Allow", "GET, HEAD"),))
        return page()

    def _metrics(self) -> Answer:
        if not self._scrapes.acquire(timeout=self._limits.request):
            return Answer(503, b"too many scrapes at once; let fewer Prometheus servers scrape this node\n")
        try:
            return Answer(200, self._scrape().encode(), CONTENT_TYPE)
        finally:
            self._scrapes.release()

    def _landing(self) -> Answer:
        page = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Metricat agent</title>'
            f"<h1>Metricat agent {__version__}</h1><p>The metrics of this node, for Prometheus: "
            f'<a href="{self._telemetry_path}">{self._telemetry_path}</a></p></html>\n'
        )
        return Answer(200, page.encode(), "text/html; charset=utf-8")

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                _LOG.warning("cannot accept a connection: %s", error)
                time.sleep(0.1)  # the client is still waiting, and poll would return at once
            return
        connection = Connection(client, self._limits)
        with self._lock:
            if len(self._connections) >= self._limits.connections and not self._break_off_idlest():
                connection.close()
                _LOG.debug("refused a client: %s others are being answered", len(self._connections))
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._connections[connection] = thread
            thread.start()

    def _break_off_idlest(self) -> bool:
        """Make room at the expense of who has asked for nothing for longest; tell whether there was such a one."""
        idle = [(since, connection) for connection in self._connections if (since := connection.idle_since) is not None]
        if idle:
            min(idle, key=lambda pair: pair[0])[1].break_off()
        return bool(idle)

    def _serve(self, connection: Connection) -> None:
        """Answer one client's requests until it goes, is too slow, or we stop."""
        try:
            while (request := connection.next_request()) is not None:
                answer = self._safe_answer(request)
                keep = request.keeps_alive and not self._stopping
                connection.send(encode(answer, request, close=not keep))
                if not keep:
                    break
        except BadRequestError as error:
            with suppress(OSError):
                connection.send(encode(Answer(error.status, f"{error}\n".encode()), None, close=True))
        except OSError as error:
            _LOG.debug("a client went away or was too slow: %s", error)
        finally:
            connection.close()
            with self._lock:
                self._connections.pop(connection, None)

    def _safe_answer(self, request: Request) -> Answer:
        try:
            return self.answer(request)
        except Exception:  # noqa: BLE001 -- the client is told, the log has the trace, others are served
            _LOG.exception("cannot answer %s", request.path)
            return Answer(500, b"the agent failed; its log says why\n")

    def _drain(self) -> None:
        deadline = time.monotonic() + self._limits.drain
        with self._lock:
            threads = list(self._connections.values())
            for connection in self._connections:
                if connection.idle_since is not None:
                    connection.break_off()
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
