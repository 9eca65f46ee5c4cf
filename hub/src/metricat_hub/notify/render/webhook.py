"""The body of a webhook: Alertmanager's format, version 4, with further fields. Pure."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import msgspec

from metricat_hub.model.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.model.alerts import ActiveAlert, Notification
    from metricat_hub.notify.content import Content

_NEVER = "0001-01-01T00:00:00Z"
"""The end of a firing alert: Go's zero time."""


def body(notification: Notification, content: Content, most_alerts: int = 0) -> bytes:
    """Return the JSON body. `most_alerts` limits the number of alerts; 0: no limit."""
    alerts = notification.alerts
    shown = alerts[:most_alerts] if most_alerts else alerts
    texts = {one.alert.fingerprint: one for one in content.alerts}
    found = []
    for one in shown:
        text = texts.get(one.fingerprint)
        found.append(
            {
                "status": "firing" if one.resolved_at is None else "resolved",
                "labels": dict(one.labels),
                "annotations": dict(one.annotations),
                "startsAt": rfc3339(begin(one)),
                "endsAt": _NEVER if one.resolved_at is None else rfc3339(one.resolved_at),
                "generatorURL": f"{notification.url}/alerts/{one.fingerprint}" if notification.url else "",
                "fingerprint": one.fingerprint,
                "value": one.value if one.value - one.value == 0 else None,
                "valueText": text.value if text else "",
                "thresholdText": text.threshold if text else "",
                "trendText": text.trend.text if text and text.trend else "",
                "activeAt": rfc3339(one.active_at),
            }
        )
    return msgspec.json.encode(
        {
            "version": "4",
            "groupKey": notification.group_key,
            "truncatedAlerts": len(alerts) - len(shown),
            "status": content.status,
            "receiver": notification.receiver,
            "groupLabels": dict(notification.group_labels),
            "commonLabels": common([dict(one.labels) for one in alerts]),
            "commonAnnotations": common([one.annotations for one in alerts]),
            "externalURL": notification.url,
            "alerts": found,
            "id": notification.identity,
            "reason": notification.reason,
            "title": content.title,
            "severity": content.severity,
        }
    )


def begin(alert: ActiveAlert) -> int:
    """Return when an alert began to fire."""
    return alert.active_at if alert.fired_at is None else alert.fired_at


def common(pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the pairs of key and value that all mappings contain."""
    if not pairs:
        return {}
    return {name: value for name, value in pairs[0].items() if all(one.get(name) == value for one in pairs)}


def signature(secret: str, seconds: int, content: bytes) -> str:
    """Return the header X-Metricat-Signature: the time in seconds, and the HMAC-SHA256 of `TIME.BODY`."""
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + content, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"
