"""Endpoints of alerts that are pending or firing, and of their acknowledgements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from metricat_hub.access import audit
from metricat_hub.api.accounts.requests import json_body, principal_of
from metricat_hub.api.accounts.requests import respond as respond_json
from metricat_hub.api.alerts.bodies import AcknowledgementView, AlertEntries, AlertEntry, NewAcknowledgement
from metricat_hub.api.alerts.requests import author_of, end_of, own_routing_of
from metricat_hub.api.operations import Operation, Parameter
from metricat_hub.api.problems import Problem
from metricat_hub.api.rest.parameters import read_query
from metricat_hub.api.rest.responses import number, paged, respond
from metricat_hub.api.services import services
from metricat_hub.model.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.api.services import Services
    from metricat_hub.dispatch.silences import Acknowledgement
    from metricat_hub.use_cases.cancellation import Cancellation
    from metricat_hub.use_cases.notifications import AlertView

_TAG = "Alerts"
_STATES = ("firing", "pending")
_SEVERITIES = ("critical", "warning", "info")
_FINGERPRINT = Parameter("fingerprint", "Fingerprint of the alert.", where="path")


async def active_alerts(request: Request) -> Response:
    """Return the alerts that are pending or firing."""
    query = await read_query(request)
    state, page = query.choice("state", _STATES), query.page()
    nodes, names = query.nodes(), query.text("alert")
    severity, receiver = query.text("severity"), query.text("receiver")

    def work(own: Services, _: Cancellation) -> AlertEntries:
        found = [
            entry
            for entry in _entries(own)
            if state in ("", entry.state)
            and (not nodes or entry.node in nodes)
            and names in ("", entry.name)
            and severity in ("", entry.severity)
            and (not receiver or receiver in entry.receivers)
        ]
        return AlertEntries(*paged(found, page))

    return await respond(request, work)


async def active_alert(request: Request) -> Response:
    """Return an alert that is pending or firing."""
    identifier = request.path_params["fingerprint"]

    def work(own: Services, _: Cancellation) -> AlertEntry:
        found = next((entry for entry in _entries(own) if entry.fingerprint == identifier), None)
        if found is None:
            raise Problem(
                404,
                f"no alert with the fingerprint {identifier[:100]!r} is pending or firing; "
                "list the alerts with: GET /api/v1/alerts/active",
            )
        return found

    return await respond(request, work)


async def acknowledge(request: Request) -> Response:
    """Acknowledge a firing alert."""
    given = await json_body(request, NewAcknowledgement)
    identifier, now = request.path_params["fingerprint"], services(request).now()
    expires = end_of(given.expires, given.duration, now, "expires")
    found = await run_in_threadpool(
        own_routing_of(request).acknowledge, identifier, author_of(request), now, given.comment, expires
    )
    audit.record("alert.acknowledge", who=principal_of(request).name, target=identifier, comment=given.comment)
    return respond_json(_acknowledgement(found))


async def unacknowledge(request: Request) -> Response:
    """Remove the acknowledgement of an alert."""
    identifier, now = request.path_params["fingerprint"], services(request).now()
    found = await run_in_threadpool(own_routing_of(request).unacknowledge, identifier, author_of(request), now)
    audit.record("alert.unacknowledge", who=principal_of(request).name, target=identifier)
    return respond_json(_acknowledgement(found))


def _entries(own: Services) -> list[AlertEntry]:
    views: Iterable[AlertView] = ()
    if own.remote_alerts is not None:
        views = own.remote_alerts.views(own.namespaces)
    elif own.rules is not None and own.notifications is not None:
        views = own.notifications.views(own.rules.groups())
    found = [_entry(one) for one in views]
    return sorted(found, key=lambda one: (_rank(one.severity), _reversed(one.active_at), one.fingerprint))


def _rank(severity: str | None) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)


def _reversed(text: str) -> tuple[int, ...]:
    """Return a key that sorts texts in the reverse order."""
    return tuple(-ord(character) for character in text)


def _entry(view: AlertView) -> AlertEntry:
    alert, labels = view.alert, dict(view.alert.labels)
    return AlertEntry(
        view.fingerprint,
        alert.name,
        "pending" if alert.fired_at is None else "firing",
        labels.get("severity"),
        labels.get("node"),
        labels,
        dict(alert.annotations),
        number(alert.value),
        rfc3339(alert.active_at),
        None if alert.fired_at is None else rfc3339(alert.fired_at),
        None if view.notified_at is None else rfc3339(view.notified_at),
        list(view.receivers),
        list(view.silenced_by),
        view.inhibited_by or None,
        _acknowledgement(view.acknowledgement) if view.acknowledgement else None,
        alert.expression,
    )


def _acknowledgement(one: Acknowledgement) -> AcknowledgementView:
    return AcknowledgementView(
        one.author, rfc3339(one.at), one.comment, None if one.expires is None else rfc3339(one.expires)
    )


OPERATIONS = (
    Operation(
        "/api/v1/alerts/active",
        active_alerts,
        "List the alerts that are pending or firing, with their silences, acknowledgements and receivers",
        _TAG,
        parameters=(
            Parameter("state", "Return only alerts in this state.", {"type": "string", "enum": list(_STATES)}),
            Parameter("node", "Return only alerts of this node.", many=True),
            Parameter("alert", "Return only alerts with this name."),
            Parameter("severity", "Return only alerts with this severity."),
            Parameter("receiver", "Return only alerts whose notifications go to this receiver."),
            Parameter(
                "limit", "Maximum number of entries in a page.", {"type": "integer", "minimum": 1, "maximum": 10_000}
            ),
            Parameter("cursor", "The value of `next` in the previous page; empty: the first page."),
        ),
        result=AlertEntries,
        errors=(400, 503),
    ),
    Operation(
        "/api/v1/alerts/active/{fingerprint}",
        active_alert,
        "Show one alert that is pending or firing",
        _TAG,
        parameters=(_FINGERPRINT,),
        result=AlertEntry,
        errors=(404, 503),
    ),
    Operation(
        "/api/v1/alerts/{fingerprint}/acknowledge",
        acknowledge,
        "Acknowledge a firing alert: the hub neither repeats nor escalates its notifications until the alert resolves, "
        "or until the end of the acknowledgement",
        _TAG,
        scope="edit",
        methods=("POST",),
        parameters=(_FINGERPRINT,),
        request=NewAcknowledgement,
        result=AcknowledgementView,
        errors=(400, 404, 409, 413, 415, 503),
    ),
    Operation(
        "/api/v1/alerts/{fingerprint}/acknowledge",
        unacknowledge,
        "Remove the acknowledgement of an alert",
        _TAG,
        scope="edit",
        methods=("DELETE",),
        parameters=(_FINGERPRINT,),
        result=AcknowledgementView,
        errors=(404, 409, 503),
    ),
)
