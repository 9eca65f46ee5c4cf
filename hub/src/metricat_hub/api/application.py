"""The ASGI application: all routes, and errors as problem details.

See docs/design/0029-hub-http-server.md.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from metricat_hub.api import health, openapi, page, receivers, self_metrics, write_operations
from metricat_hub.api.accounts import keys, oidc, sessions, users
from metricat_hub.api.alert_history import operations as alert_history
from metricat_hub.api.alert_rules import monitoring_targets
from metricat_hub.api.alert_rules import operations as alert_rules
from metricat_hub.api.alert_rules import targets as target_alerts
from metricat_hub.api.alerts import active, silences, windows
from metricat_hub.api.compression import Compression
from metricat_hub.api.live import self_metrics as live_metrics
from metricat_hub.api.live import websocket as live
from metricat_hub.api.problems import Problem, handle_problem, response
from metricat_hub.api.prometheus import metadata, queries, rules
from metricat_hub.api.rest import forecast
from metricat_hub.api.rest import operations as rest
from metricat_hub.api.surroundings import Surroundings
from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from metricat_agent.web.access.authentication import Authenticator
    from metricat_hub.api.access_log import AccessLog
    from metricat_hub.api.operations import Operation
    from metricat_hub.api.services import Services

OPERATIONS: tuple[Operation, ...] = (
    *queries.OPERATIONS,
    *metadata.OPERATIONS,
    *rules.OPERATIONS,
    *alert_rules.OPERATIONS,
    *monitoring_targets.OPERATIONS,
    *target_alerts.OPERATIONS,
    *active.OPERATIONS,
    *silences.OPERATIONS,
    *windows.OPERATIONS,
    *receivers.OPERATIONS,
    *rest.OPERATIONS,
    *forecast.OPERATIONS,
    *alert_history.OPERATIONS,
    *live.OPERATIONS,
    *sessions.OPERATIONS,
    *users.OPERATIONS,
    *keys.OPERATIONS,
    *oidc.OPERATIONS,
    *health.OPERATIONS,
    *self_metrics.OPERATIONS,
)
DOCUMENTED = (*OPERATIONS, *write_operations.OPERATIONS)
"""All operations. Those that receive pushed samples have no endpoint here; `application` gets them as `routes`."""


def application(
    services: Services,
    routes: Sequence[BaseRoute] = (),
    metrics: self_metrics.SelfMetrics | None = None,
    authenticator: Authenticator | None = None,
    log: AccessLog | None = None,
) -> ASGIApp:
    """Return the ASGI application. `routes` are the endpoints that receive pushed samples."""
    app = Starlette(
        routes=[*(operation.route for operation in OPERATIONS), *live.ROUTES, *page.ROUTES, *routes],
        exception_handlers={
            Problem: handle_problem,
            HubError: handle_problem,
            HTTPException: _handle_http,
            Exception: _handle_bug,
        },
    )
    app.state.services = services
    app.state.metrics = metrics or self_metrics.SelfMetrics()
    app.state.metrics.add(lambda: live_metrics.samples(services.rounds.statistics))
    app.state.metrics.add(services.threads.samples)
    app.state.openapi = cache(lambda: openapi.document(DOCUMENTED))
    return Surroundings(Compression(app), app.state.metrics, authenticator, log)


async def _handle_http(request: Request, error: Exception) -> Response:
    """Return the response for an unknown path or method."""
    assert isinstance(error, HTTPException)  # noqa: S101 -- registered for it
    detail = {
        404: f"no resource has the path {request.url.path}; find the paths at /docs",
        405: f"{request.url.path} does not support {request.method}; find the methods at /docs",
    }.get(error.status_code, str(error.detail))
    return response(Problem(error.status_code, detail, error.headers), request.url.path)


async def _handle_bug(request: Request, error: Exception) -> Response:  # noqa: ARG001 -- a handler
    """Return 500; Starlette raises the error again, and `Surroundings` logs it."""
    return response(
        Problem(500, "internal error of the hub; see its log for the details, and report the error"), request.url.path
    )
