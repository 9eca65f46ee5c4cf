"""Error responses of the Prometheus HTTP API, with Prometheus' error types and status codes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from starlette.responses import Response

from metricat_hub.api.prometheus.encoding import failure
from metricat_hub.api.prometheus.parameters import ParameterError
from metricat_hub.model.errors import (
    HubError,
    InvalidQueryError,
    OverloadedError,
    QueryCanceledError,
    QueryTimeoutError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    Endpoint = Callable[[Request], Awaitable[Response]]

_KINDS: tuple[tuple[type[Exception], str, int], ...] = (
    (ParameterError, "bad_data", 400),
    (InvalidQueryError, "bad_data", 400),
    (QueryTimeoutError, "timeout", 503),
    (QueryCanceledError, "canceled", 499),
    (StoreUnavailableError, "unavailable", 503),
    (HubError, "execution", 422),
)
"""Error type and status code by exception class. The first class that matches an error applies."""


def with_prometheus_errors(endpoint: Endpoint) -> Endpoint:
    """Decorate an endpoint so that its errors are in Prometheus' JSON format instead of problem details."""

    @functools.wraps(endpoint)
    async def wrapped(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (HubError, ParameterError) as error:
            kind, status = next((kind, status) for cls, kind, status in _KINDS if isinstance(error, cls))
            seconds = error.seconds if isinstance(error, OverloadedError) else 5
            headers = {"Retry-After": str(seconds)} if kind == "unavailable" else None
            return Response(failure(kind, str(error)), status, headers, "application/json")

    return wrapped
