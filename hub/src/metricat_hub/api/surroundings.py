"""Middleware of all requests: request ID, duration, log entry, metrics, size limit, and headers of the response.

Plain ASGI: Starlette's BaseHTTPMiddleware starts a task for each request. See docs/design/0034.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from metricat_hub.access import audit
from metricat_hub.api.access_log import AccessLog, client_of, request_id
from metricat_hub.api.problems import Problem, response
from metricat_hub.api.rate_limits import STATE, headers

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from metricat_agent.web.access.authentication import Authenticator
    from metricat_hub.api.self_metrics import SelfMetrics

MOST_BODY = 10 << 20
"""The most bytes of the body of any request. Endpoints have smaller limits."""
_LOG = logging.getLogger(__name__)
_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
"""Headers added to each response that does not have a header with the same name."""
_OPEN = ("/healthz", "/readyz")


class Surroundings:
    """ASGI middleware between the server and the application, which handles every request."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: SelfMetrics,
        authenticator: Authenticator | None = None,
        log: AccessLog | None = None,
    ) -> None:
        self.app = app
        self._metrics = metrics
        self._authenticator = authenticator
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        audit.origin.set(audit.Origin(client_of(scope), exchange.state["request_id"]))
        rules = self._authenticator.current() if self._authenticator else None
        if rules is not None and rules.headers:
            own = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in rules.headers)
            exchange.headers = (*own, *_HEADERS)
        try:
            if (
                rules is not None
                and rules.bucket is not None
                and scope["path"] not in _OPEN
                and not rules.bucket.take()
            ):
                await exchange.refuse(
                    Problem(
                        429,
                        "more requests than rate_limit of the web config file allows; retry later",
                        {"Retry-After": "1"},
                    )
                )
            elif exchange.declares_too_much():
                await exchange.refuse(_too_large())
            else:
                await self.app(scope, exchange.receive, exchange.send)
        except Exception:  # noqa: BLE001 -- the client has its response; the log gets the traceback
            _LOG.exception(
                "request %s %s failed because of a bug of the hub; report the error", scope["method"], scope["path"]
            )
        finally:
            seconds = time.perf_counter() - exchange.begin
            handler = getattr(scope.get("endpoint"), "__name__", "unknown")
            self._metrics.observe(handler, exchange.status, seconds)
            if self._log:
                self._log.add(scope, handler, exchange.status, seconds, (exchange.bytes_in, exchange.bytes_out))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a WebSocket; log it when it ends, with status 101 if it was accepted, without its bytes."""
        begin, status = time.perf_counter(), 403
        identifier = scope.setdefault("state", {})["request_id"] = request_id(scope)
        audit.origin.set(audit.Origin(client_of(scope), identifier))

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, sent)
        finally:
            if self._log:
                handler = getattr(scope.get("endpoint"), "__name__", "unknown")
                self._log.add(scope, handler, status, time.perf_counter() - begin, (0, 0))


class _Exchange:
    """One request and its response."""

    __slots__ = (
        "_receive",
        "_scope",
        "_send",
        "begin",
        "bytes_in",
        "bytes_out",
        "headers",
        "started",
        "state",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self.begin = time.perf_counter()
        self.status = 499
        self.bytes_in = self.bytes_out = 0
        self.headers: tuple[tuple[bytes, bytes], ...] = _HEADERS
        self.state: dict[str, Any] = scope.setdefault("state", {})
        self.state["request_id"] = request_id(scope)

    def declares_too_much(self) -> bool:
        """Return whether Content-Length is above the limit of the body."""
        for name, value in self._scope["headers"]:
            if name == b"content-length" and value.isdigit():
                return int(value) > MOST_BODY
        return False

    async def refuse(self, problem: Problem) -> None:
        """Send an error response."""
        await response(problem, self._scope["path"])(self._scope, self._receive, self.send)

    async def receive(self) -> Message:
        """Return the next part of the request; raise `Problem` 413 above the limit."""
        message = await self._receive()
        if message["type"] == "http.request":
            self.bytes_in += len(message.get("body", b""))
            if self.bytes_in > MOST_BODY:
                raise _too_large()
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the response; the first part gets the headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            found = message.setdefault("headers", [])
            names = {name for name, _ in found}
            found.extend(pair for pair in self.headers if pair[0] not in names)
            found.append((b"x-request-id", self.state["request_id"].encode()))
            if decision := self.state.get(STATE):
                found.extend(headers(decision))
        elif message["type"] == "http.response.body":
            self.bytes_out += len(message.get("body", b""))
        await self._send(message)


def _too_large() -> Problem:
    """Return the error for a body above the limit. The connection ends, because the rest of the body is not read."""
    detail = f"the body is larger than the limit of {MOST_BODY} bytes. Split the request into smaller ones."
    return Problem(413, detail, {"Connection": "close"})
