"""Errors of HTTP requests as problem details (RFC 9457): a status code, the cause and the remedy."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from starlette.responses import Response

from metricat_hub.access.accounts import AccountError, ConflictError, NotFoundError, StaleVersionError
from metricat_hub.access.authenticators import AuthenticationError, PermissionDeniedError
from metricat_hub.access.login_throttle import ThrottledError
from metricat_hub.access.passwords import TooManyLoginsError
from metricat_hub.access.users import SetupError
from metricat_hub.model.alert_rules import RuleConflictError, RuleNotFoundError, StaleRuleError
from metricat_hub.model.errors import (
    AccessUnavailableError,
    HubError,
    InvalidParameterError,
    InvalidQueryError,
    LimitError,
    OverloadedError,
    QueryError,
    QueryTimeoutError,
    ReadOnlyStoreError,
    StoreUnavailableError,
    UnknownMetricError,
    UnsupportedQueryError,
)
from metricat_hub.notify.delivery import UnknownReceiverError
from metricat_hub.notify.queue import NoDeliveryError
from metricat_hub.use_cases.notifications import ControlError, StaleControlError, UnknownControlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

_STATUS: tuple[tuple[type[HubError], int], ...] = (
    (AuthenticationError, 401),
    (PermissionDeniedError, 403),
    (SetupError, 403),
    (NotFoundError, 404),
    (NoDeliveryError, 404),
    (UnknownReceiverError, 404),
    (StaleVersionError, 412),
    (ConflictError, 409),
    (AccountError, 400),
    (ThrottledError, 429),
    (TooManyLoginsError, 503),
    (RuleNotFoundError, 404),
    (RuleConflictError, 409),
    (StaleRuleError, 412),
    (UnknownControlError, 404),
    (StaleControlError, 412),
    (ControlError, 400),
    (InvalidQueryError, 400),
    (InvalidParameterError, 400),
    (UnknownMetricError, 404),
    (LimitError, 422),
    (UnsupportedQueryError, 422),
    (QueryTimeoutError, 503),
    (QueryError, 422),
    (ReadOnlyStoreError, 403),
    (StoreUnavailableError, 503),
    (AccessUnavailableError, 503),
)


class Problem(Exception):  # noqa: N818 -- the name of RFC 9457
    """An error response. `detail` contains the cause and the remedy."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members
        """Further members of the problem details, for example the name of the invalid parameter."""


def problem_of(error: HubError) -> Problem:
    """Convert an error of a use case to a problem."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    members: dict[str, Any] = {"parameter": error.parameter} if isinstance(error, InvalidParameterError) else {}
    if right := getattr(error, "right", None):  # a right of Kubernetes that the user lacks
        members["right"] = right
    seconds = error.seconds if isinstance(error, (ThrottledError, OverloadedError)) else 5
    return Problem(status, str(error), {"Retry-After": str(seconds)} if status in (429, 503) else None, **members)


def response(problem: Problem, path: str) -> Response:
    """Return the response for a problem; `path` is the path of the request."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": quote(path, safe="/:@!$&'()*+,;=~"),
        **problem.members,
    }
    return Response(msgspec.json.encode(body), problem.status, problem.headers, "application/problem+json")


async def handle_problem(request: Request, error: Exception) -> Response:
    """Return the response for a `Problem` or a `HubError` that an endpoint raised."""
    if isinstance(error, HubError):
        error = problem_of(error)
    if not isinstance(error, Problem):
        raise error
    return response(error, request.url.path)
