"""Sends alerts to the Alertmanagers of a cluster.

Alertmanagers do not exchange alerts, so the hub sends all alerts to each of them. A notification is delivered if one
Alertmanager accepts it. The hub sends firing alerts again at an interval, which also reaches Alertmanagers that were
down before. An Alertmanager that gets no alerts for four intervals resolves its alerts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.notify.channels.http import HttpSender, shown_url
from metricat_hub.notify.outcome import Outcome
from metricat_hub.notify.render.alertmanager import alerts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.receivers import AlertmanagerChannel
    from metricat_hub.notify.channel import Message

_PATH = "/api/v2/alerts"
_BATCH = 256
"""The most alerts of one request, the same as Prometheus sends."""


class Alertmanager:
    """Sends alerts to the Alertmanagers of one cluster."""

    kind = "alertmanager"
    sends_resolved = True

    def __init__(self, settings: AlertmanagerChannel) -> None:
        self.shown = ", ".join(map(shown_url, settings.targets))
        self.resend_seconds = settings.resend_interval / 1000
        self._interval = settings.resend_interval
        self._servers = [(shown_url(one), HttpSender(one)) for one in settings.targets]

    def send(self, message: Message) -> Outcome:
        """Make one attempt for each Alertmanager."""
        notification = message.notification
        found = notification.alerts
        bodies = [
            alerts(found[start : start + _BATCH], notification.url, message.at, self._interval)
            for start in range(0, len(found), _BATCH)
        ]
        outcomes = [(name, self._send(server, bodies)) for name, server in self._servers]
        errors = "; ".join(f"{name}: {one.error}" for name, one in outcomes if one.error)
        results = {one.result for _, one in outcomes}
        if "delivered" in results:
            return Outcome(error=errors)
        waits = [one.retry_after for _, one in outcomes if one.retry_after is not None]
        return Outcome("failed" if "failed" in results else "rejected", errors, max(waits, default=None))

    def _send(self, server: HttpSender, bodies: Sequence[bytes]) -> Outcome:
        outcome = Outcome()
        for body in bodies:
            outcome = server.send(body, {}, _PATH)
            if outcome.result != "delivered":
                break
        return outcome

    def secrets(self) -> Sequence[str]:
        """Return the texts that no error may contain."""
        return [secret for _, server in self._servers for secret in server.secrets()]

    def close(self) -> None:
        """Close idle connections."""
        for _, server in self._servers:
            server.close()
