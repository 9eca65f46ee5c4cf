"""The common part of these endpoints: the routing of the hub, authors, times, durations and matchers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.api.accounts.requests import parse_time, principal_of
from metricat_hub.api.problems import Problem
from metricat_hub.api.services import services
from metricat_hub.dispatch.matchers import AlertMatchers, parse
from metricat_hub.model.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from metricat_hub.api.services import Services
    from metricat_hub.use_cases.alertmanager_api import AlertmanagerApi
    from metricat_hub.use_cases.notifications import Notifications

_LAST = 253_402_214_400_000
"""The last day that RFC 3339 can express, in milliseconds since 1970."""


def routing_of(request: Request) -> Notifications:
    """Return the routing of the hub; raise `Problem` 403 for clients that may not use it."""
    return routing_in(services(request))


def routing_in(own: Services) -> Notifications:
    """Return the routing of services; raise `Problem` 403 if the client may not use it."""
    if own.notifications is None:
        raise Problem(403, "this client sees some namespaces only, and silences concern all; use a key of the hub")
    return own.notifications


def silences_in(own: Services) -> Notifications | AlertmanagerApi:
    """Return the silences that have an effect; raise `Problem` if the hub has none."""
    routing = routing_in(own)
    if own.remote_alerts is None:
        return routing
    if own.remote_alerts.alertmanager is None:
        raise Problem(
            409,
            "another server evaluates the rules, so silences of the hub would have no effect; set "
            "alert-history.alertmanager-url (in the chart: hub.alertmanager.url) to use those of Alertmanager",
        )
    return own.remote_alerts.alertmanager


def silences_of(request: Request) -> Notifications | AlertmanagerApi:
    """Return the silences that have an effect; raise `Problem` if the hub has none."""
    return silences_in(services(request))


def own_routing_of(request: Request) -> Notifications:
    """Return the routing of the hub for a change; raise `Problem` 409 if Alertmanager sends the notifications."""
    own = services(request)
    routing = routing_in(own)
    if own.remote_alerts is not None:
        raise Problem(
            409,
            "Alertmanager sends the notifications here, and it has neither acknowledgements nor maintenance windows; "
            "create a silence with an end, or set quietHours of a receiver of the MonitoringTarget",
        )
    return routing


def author_of(request: Request) -> str:
    """Return the author of a change: a user, or the label and the identifier of a key."""
    principal = principal_of(request)
    return f"{principal.label} ({principal.name})" if principal.label else principal.name


def time_of(text: str) -> int:
    """Return a time in milliseconds; raise `Problem` 400."""
    found = parse_time(text)
    if not 0 <= found < _LAST:
        raise Problem(400, f"invalid time {text[:100]!r}; write a time between 1970 and 9999")
    return found


def end_of(ends: str | None, duration: str | None, start: int) -> int | None:
    """Return the end that a request gives as a time or as a duration; None without both."""
    if ends is not None and duration is not None:
        raise Problem(400, "the time of the end and duration are both there; give one of them")
    if duration is None:
        return None if ends is None else time_of(ends)
    end = start + duration_of(duration)
    if end >= _LAST:
        raise Problem(400, f"duration {duration[:50]!r} is too long; write for example 2h or 30d")
    return end


def duration_of(text: str) -> int:
    """Return the milliseconds of a duration; raise `Problem` 400."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise Problem(400, str(error)) from None


def matchers_of(texts: Iterable[str]) -> AlertMatchers:
    """Return the matchers of a request; raise `Problem` 400."""
    try:
        return parse(texts)
    except ValueError as error:
        raise Problem(400, str(error)) from None
