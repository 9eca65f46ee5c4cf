"""Shared functions of the alert endpoints: access to routing and silences, authors, times, durations, matchers."""

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
"""The end of the times that RFC 3339 can express, in milliseconds since 1970."""


def routing_of(request: Request) -> Notifications:
    """Return the hub's routing of notifications; raise `Problem` 403 if the client may not use it."""
    return routing_in(services(request))


def routing_in(own: Services) -> Notifications:
    """Return the routing of notifications in `own`; raise `Problem` 403 if the client may not use it."""
    if own.notifications is None:
        raise Problem(
            403,
            "the client sees only some namespaces, but silences, maintenance windows and acknowledgements apply to "
            "all; use an API key of the hub",
        )
    return own.notifications


def silences_in(own: Services) -> Notifications | AlertmanagerApi:
    """Return the silences of the hub, or of the Alertmanager that sends the notifications.

    Raises:
        Problem: 403 if the client may not use silences, 409 if the hub's silences would have no effect.
    """
    routing = routing_in(own)
    if own.remote_alerts is None:
        return routing
    if own.remote_alerts.alertmanager is None:
        raise Problem(
            409,
            "another server evaluates the rules, so silences of the hub would have no effect; "
            "to manage the silences of Alertmanager, set alert-history.alertmanager-url (in the chart: "
            "hub.alertmanager.url)",
        )
    return own.remote_alerts.alertmanager


def silences_of(request: Request) -> Notifications | AlertmanagerApi:
    """Return the silences of the hub, or of the Alertmanager that sends the notifications.

    Raises:
        Problem: 403 if the client may not use silences, 409 if the hub's silences would have no effect.
    """
    return silences_in(services(request))


def own_routing_of(request: Request) -> Notifications:
    """Return the hub's routing, to change it; raise `Problem` 409 if Alertmanager sends the notifications."""
    own = services(request)
    routing = routing_in(own)
    if own.remote_alerts is not None:
        raise Problem(
            409,
            "Alertmanager sends the notifications of this hub's alerts, and has neither acknowledgements nor "
            "maintenance windows; create a silence, or set quietHours of a receiver in the MonitoringTarget",
        )
    return routing


def author_of(request: Request) -> str:
    """Return the author of a change: the user name, or the label and ID of the API key."""
    principal = principal_of(request)
    return f"{principal.label} ({principal.name})" if principal.label else principal.name


def time_of(text: str) -> int:
    """Parse a time; return milliseconds since 1970. Raise `Problem` 400 for an invalid time."""
    found = parse_time(text)
    if not 0 <= found < _LAST:
        raise Problem(400, f"invalid time {text[:100]!r}; write a time between 1970 and 9999")
    return found


def end_of(ends: str | None, duration: str | None, start: int, field: str = "ends") -> int | None:
    """Return the end in milliseconds since 1970, from `ends` or from `start` plus `duration`; None without both.

    `field` is the name of the request's field with the value `ends`. Raise `Problem` 400 for an invalid value.
    """
    if ends is not None and duration is not None:
        raise Problem(400, f"the fields {field} and duration are both set; set only one of them")
    if duration is None:
        return None if ends is None else time_of(ends)
    end = start + duration_of(duration)
    if end >= _LAST:
        raise Problem(
            400, f"duration {duration[:50]!r} is too long: it ends after the year 9999; write for example 2h or 30d"
        )
    return end


def duration_of(text: str) -> int:
    """Parse a duration; return milliseconds. Raise `Problem` 400 for an invalid duration."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise Problem(400, str(error)) from None


def matchers_of(texts: Iterable[str]) -> AlertMatchers:
    """Parse matchers; raise `Problem` 400 for an invalid matcher."""
    try:
        return parse(texts)
    except ValueError as error:
        raise Problem(400, str(error)) from None
