"""The PagerDuty event about a notification (Events API v2). Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from metricat_hub.model.times import rfc3339
from metricat_hub.notify.content import one_line
from metricat_hub.notify.render.rows import description, links, rows
from metricat_hub.notify.render.webhook import begin

if TYPE_CHECKING:
    from metricat_hub.model.alerts import Notification
    from metricat_hub.notify.content import Content

Action: TypeAlias = Literal["trigger", "resolve"]
_MOST_KEY, _MOST_SUMMARY = 255, 1024
"""PagerDuty's limits in characters."""
_SEVERITIES: Final = ("critical", "error", "warning", "info")


def event(notification: Notification, content: Content, routing_key: str, action: Action) -> bytes:
    """Return the event as JSON. All events about a group belong to one incident."""
    found: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": dedup_key(notification.group_key),
    }
    if action == "resolve":
        return msgspec.json.encode(found)
    first = content.alerts[0]
    labels = dict(first.alert.labels)
    found |= {
        "client": "Metricat",
        "client_url": content.link or None,
        "payload": {
            "summary": one_line(f"{content.title}: {first.summary}", _MOST_SUMMARY),
            "source": first.place or notification.url or "Metricat",
            "severity": content.severity if content.severity in _SEVERITIES else "error",
            "timestamp": rfc3339(min(begin(one) for one in notification.alerts)),
            "component": labels.get("resource"),
            "group": labels.get("pool") or labels.get("service"),
            "class": first.alert.name,
            "custom_details": {
                "firing": content.firing,
                "resolved": content.resolved,
                "alerts": [
                    {
                        "summary": one_line(text.summary, 300),
                        "state": text.status,
                        "description": description(text),
                        **dict(rows(text)),
                        "labels": dict(text.alert.labels),
                    }
                    for text in content.alerts
                ],
                **({"further": content.hidden} if content.hidden else {}),
            },
        },
        "links": [{"href": url, "text": name} for name, url in links(first)],
    }
    return msgspec.json.encode(found)


def dedup_key(group_key: str) -> str:
    """Return the key of the incident: the key of the group, or its hash if the key is too long."""
    return group_key if len(group_key) <= _MOST_KEY else hashlib.sha256(group_key.encode()).hexdigest()
