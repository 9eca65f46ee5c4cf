"""The notification of a test message. Pure."""

from __future__ import annotations

from metricat_hub.model.alerts import ActiveAlert, Notification
from metricat_hub.model.labels import from_mapping


def notification_of_test(receiver: str, identity: str, now: int, url: str) -> Notification:
    """Return a test notification, whose text states that it is a test."""
    alert = ActiveAlert(
        labels=from_mapping({"alertname": "MetricatTest", "severity": "info", "receiver": receiver}),
        annotations={
            "summary": f"This is a test of the receiver {receiver}",
            "description": "The hub sends alerts to this receiver. No node has a problem.",
            "action": "No action.",
        },
        value=1.0,
        active_at=now,
        fired_at=now,
    )
    return Notification(
        identity=f"test-{identity}",
        receiver=receiver,
        group_key=f"test-{identity}",
        group_labels={"alertname": "MetricatTest"},
        alerts=(alert,),
        reason="test",
        at=now,
        url=url,
    )
