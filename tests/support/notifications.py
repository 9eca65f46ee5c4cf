"""Alerts and notifications of tests, and a channel that a test scripts."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from metricat_hub.model.alerts import ActiveAlert, Notification
from metricat_hub.model.labels import from_mapping
from metricat_hub.notify.outcome import DELIVERED, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.model.alerts import Reason
    from metricat_hub.notify.channel import Message

MINUTE = 60_000
AT = 1_769_860_800_000
"""2026-01-31T12:00:00Z."""
GENEROUS = 60.0
"""Seconds to wait for a state. A loaded machine is slow."""


def now() -> int:
    return time.time_ns() // 1_000_000


def alert(
    name: str = "NodeCPUUsageHigh",
    node: str = "web-1",
    severity: str = "critical",
    value: float = 97.34,
    *,
    resolved: bool = False,
    expression: str = 'metricat:node_cpu_usage:percent{service="metricat"} >= 95',
    annotations: dict[str, str] | None = None,
    **labels: str,
) -> ActiveAlert:
    found = {"alertname": name, "node": node, "severity": severity, "resource": "cpu", **labels}
    return ActiveAlert(
        labels=from_mapping(found),
        annotations={
            "summary": f"CPU usage on {node} is high",
            "description": f"CPU usage on {node} is 97.3 % (threshold 95 %). Top processes: stress (pid 4711) 4 CPUs.",
            "action": "Stop processes that should not run.",
        }
        if annotations is None
        else annotations,
        value=value,
        active_at=AT - 13 * MINUTE,
        fired_at=AT - 12 * MINUTE,
        resolved_at=AT if resolved else None,
        expression=expression,
    )


def notification(
    *alerts: ActiveAlert,
    identity: str = "n-1",
    receiver: str = "default",
    group_key: str = '{}:{alertname="NodeCPUUsageHigh"}',
    reason: Reason = "new",
    url: str = "https://hub.example.org",
) -> Notification:
    return Notification(
        identity=identity,
        receiver=receiver,
        group_key=group_key,
        group_labels={"alertname": "NodeCPUUsageHigh"},
        alerts=alerts or (alert(),),
        reason=reason,
        at=AT,
        url=url,
    )


class ScriptedChannel:
    """A channel with the outcomes that a test gives; the last one repeats. It records the messages."""

    kind = "webhook"
    shown = "scripted"
    resend_seconds = 0.0

    def __init__(self, *outcomes: Outcome, sends_resolved: bool = True, secrets: Sequence[str] = ()) -> None:
        self.sends_resolved = sends_resolved
        self.messages: list[Message] = []
        self.gate = threading.Event()
        """Attempts wait for it."""
        self.gate.set()
        self.arrived = threading.Condition()
        self._outcomes = list(outcomes) or [DELIVERED]
        self._secrets = secrets

    def send(self, message: Message) -> Outcome:
        with self.arrived:
            self.messages.append(message)
            outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
            self.arrived.notify_all()
        self.gate.wait(GENEROUS)
        return outcome

    def wait(self, count: int) -> None:
        """Wait for this number of attempts."""
        with self.arrived:
            found = self.arrived.wait_for(lambda: len(self.messages) >= count, GENEROUS)
        assert found, f"{len(self.messages)} attempts"

    @property
    def identities(self) -> list[str]:
        return [one.notification.identity for one in self.messages]

    def secrets(self) -> Sequence[str]:
        return self._secrets

    def close(self) -> None:
        pass


def wait_until(condition: Callable[[], bool], what: str = "the state") -> None:
    """Wait for a state that another thread or process reaches."""
    deadline = time.monotonic() + GENEROUS
    while not condition():
        assert time.monotonic() < deadline, f"{what} is not reached"
        time.sleep(0.01)
