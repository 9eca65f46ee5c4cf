"""Converts alerts of an Alertmanager to events of the alert history."""

from __future__ import annotations

from typing import Literal

import msgspec

from metricat_hub.model.alerts import AlertEvent, fingerprint
from metricat_hub.model.errors import InvalidParameterError
from metricat_hub.model.labels import from_mapping
from metricat_hub.model.times import parse_rfc3339

SOURCE = "alertmanager"


class ReportedAlert(msgspec.Struct, rename="camel"):
    """An alert, as Alertmanager's API returns it."""

    labels: dict[str, str]
    starts_at: str
    annotations: dict[str, str] = {}


class WebhookAlert(ReportedAlert, rename="camel", kw_only=True):
    """An alert in a message of Alertmanager's webhook."""

    status: Literal["firing", "resolved"]
    ends_at: str = ""


class AlertmanagerMessage(msgspec.Struct, rename="camel"):
    """A message of Alertmanager's webhook, version 4."""

    version: Literal["4"]
    alerts: list[WebhookAlert]
    truncated_alerts: int = 0


def message_events(message: AlertmanagerMessage) -> list[AlertEvent]:
    """Convert a webhook message to events; raise `InvalidParameterError` for an invalid alert."""
    found = []
    for one in message.alerts:
        found.append(firing_event(one))
        if one.status == "resolved":
            found.append(_event("resolved", one, _time("endsAt", one.ends_at)))
    return found


def firing_event(alert: ReportedAlert) -> AlertEvent:
    """Return the event for the start of an alert; raise `InvalidParameterError` for an invalid alert."""
    return _event("firing", alert, _time("startsAt", alert.starts_at))


def _event(kind: Literal["firing", "resolved"], alert: ReportedAlert, at: int) -> AlertEvent:
    labels = from_mapping(alert.labels)
    if not labels:
        raise InvalidParameterError("alerts", "an alert has no labels; send the message of Alertmanager unchanged")
    return AlertEvent(at, kind, fingerprint(labels), labels, alert.annotations, details={"source": SOURCE})


def _time(name: str, text: str) -> int:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise InvalidParameterError(name, f"{error}; write for example 2026-01-31T12:00:00Z") from None
