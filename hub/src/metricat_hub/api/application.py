"""The ASGI application: all routes, errors as problem details, access log, metrics and response headers.

See docs/design/0029-hub-http-server.md.
"""

from __future__ import annotations

import logging
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from metricat_hub.api import health, openapi, self_metrics
from metricat_hub.api.problems import Problem, handle_problem, response
from metricat_hub.api.prometheus import metadata, queries
from metricat_hub.api.rest import operations as rest
from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from metricat_agent.web.access.authentication import Authenticator
    from metricat_hub.api.operations import Operation
    from metricat_hub.api.services import Services

OPERATIONS: tuple[Operation, ...] = (
    *queries.OPERATIONS,
    *metadata.OPERATIONS,
    *rest.OPERATIONS,
    *health.OPERATIONS,
    *self_metrics.OPERATIONS,
)
_LOG = logging.getLogger(__name__)
_ACCESS = logging.getLogger("metricat_hub.access")
_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
"""Default headers. A response with a header of the same name keeps its own."""


def application(
    services: Services,
    routes: Sequence[BaseRoute] = (),
    metrics: self_metrics.SelfMetrics | None = None,
    authenticator: Authenticator | None = None,
) -> ASGIApp:
    """Return the application; `routes` receive pushed samples."""
    app = Starlette(
        routes=[*(operation.route for operation in OPERATIONS), *routes],
        exception_handlers={
            Problem: handle_problem,
            HubError: handle_problem,
            HTTPException: _handle_http,
            Exception: _handle_bug,
        },
    )
    app.state.services = services
    app.state.metrics = metrics or self_metrics.SelfMetrics()
    app.state.openapi = cache(lambda: openapi.document(OPERATIONS))
    return Surroundings(app, app.state.metrics, authenticator)


async def _handle_http(request: Request, error: Exception) -> Response:
    """Return the response for an unknown path or method."""
    assert isinstance(error, HTTPException)  # noqa: S101 -- registered for it
    detail = {
        404: f"no resource has the path {request.url.path}; /docs lists all paths",
        405: f"{request.url.path} does not support {request.method}; /docs lists the methods",
    }.get(error.status_code, str(error.detail))
    return response(Problem(error.status_code, detail, error.headers), request.url.path)


async def _handle_bug(request: Request, error: Exception) -> Response:  # noqa: ARG001 -- a handler
    """Return 500; Starlette raises the error again, and `Surroundings` logs it."""
    return response(Problem(500, "internal error of the hub; its log has the details"), request.url.path)


class Surroundings:
    """Measures and logs each request, limits their rate, and adds headers to the response."""

    def __init__(self, app: ASGIApp, metrics: self_metrics.SelfMetrics, authenticator: Authenticator | None) -> None:
        self.app = app
        self._metrics = metrics
        self._authenticator = authenticator

    @property
    def state(self) -> Any:
        """The state of the application."""
        return self.app.state  # type: ignore[attr-defined]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; count it and log it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 499
        extra: tuple[tuple[bytes, bytes], ...] = _HEADERS
        rules = self._authenticator.current() if self._authenticator else None
        if rules is not None:
            own = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in rules.headers)
            extra = (*own, *_HEADERS)

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                names = {name for name, _ in headers}
                headers.extend(pair for pair in extra if pair[0] not in names)
            await send(message)

        try:
            if rules is not None and rules.bucket is not None and not _is_open(scope) and not rules.bucket.take():
                limited = Problem(429, "too many requests; retry later", {"Retry-After": "1"})
                await response(limited, scope["path"])(scope, receive, sent)
                return
            await self.app(scope, receive, sent)
        except Exception:  # noqa: BLE001 -- the client has its response; the log gets the traceback
            _LOG.exception("request %s %s failed", scope["method"], scope["path"])
        finally:
            endpoint: Callable[..., Any] | None = scope.get("endpoint")
            handler = getattr(endpoint, "__name__", "unknown")
            seconds = time.perf_counter() - started
            self._metrics.observe(handler, status, seconds)
            if _ACCESS.isEnabledFor(logging.INFO):
                _log_access(scope, handler, status, seconds)


def _is_open(scope: Scope) -> bool:
    return scope["path"] in ("/healthz", "/readyz")


def _log_access(scope: Scope, handler: str, status: int, seconds: float) -> None:
    """Log a request without its query, which may contain names of processes and paths."""
    client = scope["client"][0] if scope.get("client") else "-"
    principal = scope.get("state", {}).get("principal")
    _ACCESS.info(
        "%s %s %s %s %s %s %.1f ms",
        client,
        principal.name if principal else "-",
        scope["method"],
        scope["path"],
        handler,
        status,
        seconds * 1000,
    )
