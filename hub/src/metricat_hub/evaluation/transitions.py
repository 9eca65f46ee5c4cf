"""The events between two evaluations of a rule: alerts that became pending, began to fire, or resolved."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from metricat_hub.model.alerts import AlertEvent, EventKind, fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_hub.evaluation.evaluate import Alert
    from metricat_hub.model.labels import Labels


def events(before: Mapping[Labels, Alert], after: Mapping[Labels, Alert], now: int) -> list[AlertEvent]:
    """Return the events between two states of a rule's alerts, sorted by time.

    The times of the events are those in the states, so equal states give equal events. Alerts that are missing in
    `after` end at `now`: pending alerts without a result, and alerts of removed rules.
    """
    found: list[AlertEvent] = []
    for labels, alert in after.items():
        own = before.get(labels)
        is_new = own is None or own.state.active != alert.state.active
        if own is not None and is_new and _is_active(own):
            found.append(_event("resolved", own, now))
        if alert.state.phase == "pending" and is_new:
            found.append(_event("pending", alert, alert.state.active))
        fired, resolved = alert.state.fired, alert.state.resolved
        if fired is not None and (is_new or own is None or own.state.fired is None):
            found.append(_event("firing", alert, fired))
        if resolved is not None and (is_new or own is None or _is_active(own)):
            found.append(_event("resolved", alert, resolved))
    found += [
        _event("resolved", alert, now) for labels, alert in before.items() if labels not in after and _is_active(alert)
    ]
    return sorted(found, key=lambda one: one.at)


def _is_active(alert: Alert) -> bool:
    return alert.state.resolved is None


def _event(kind: EventKind, alert: Alert, at: float) -> AlertEvent:
    return AlertEvent(
        at=int(at),
        kind=kind,
        fingerprint=fingerprint(alert.labels),
        labels=alert.labels,
        annotations=alert.annotations,
        value=None if math.isnan(alert.value) else alert.value,
        active_at=int(alert.state.active),
    )
