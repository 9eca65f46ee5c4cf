"""Corrects the alert history after a downtime of the hub, by comparison with an Alertmanager."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from metricat_hub.model.alert_episodes import END_NOT_OBSERVED
from metricat_hub.model.alerts import AlertEvent
from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.model.json_text import decode_json
from metricat_hub.remote.http_client import RequestError
from metricat_hub.use_cases.alert_series import SOURCES
from metricat_hub.use_cases.alertmanager import ReportedAlert, firing_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.alert_history import AlertHistory
    from metricat_hub.remote.http_client import Client

_MOST_BYTES = 64 << 20
_PATH = "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true"


def record_missed(history: AlertHistory, client: Client, now: int) -> None:
    """Record the current alerts of an Alertmanager, and end the episodes of alerts that it no longer has.

    The exact end of such an alert is unknown, so its event has the detail `reason`.

    Raises:
        StoreUnavailableError: Alertmanager or the history is not available now.
    """
    current = [one for one in history.open_episodes() if one.source in SOURCES]
    alerts = [firing_event(one) for one in _active(client)]
    history.record(alerts)
    active = {one.fingerprint for one in alerts}
    history.record(
        [
            AlertEvent(now, "resolved", one.fingerprint, one.labels, active_at=one.started, details=END_NOT_OBSERVED)
            for one in current
            if one.fingerprint not in active
        ]
    )


def _active(client: Client) -> Sequence[ReportedAlert]:
    """Return the alerts that an Alertmanager has."""
    where = client.server.shown
    remedy = "Check Alertmanager and --alert-history.alertmanager-url."
    try:
        response = client.request("GET", _PATH, limit=_MOST_BYTES)
    except RequestError as error:
        raise StoreUnavailableError(f"{where} does not respond: {error}. {remedy}") from None
    if response.status != 200:
        raise StoreUnavailableError(f"{where} responds with status {response.status}: {response.text}. {remedy}")
    try:
        found: list[ReportedAlert] = decode_json(response.body, list[ReportedAlert])
    except msgspec.MsgspecError as error:
        raise StoreUnavailableError(f"{where} is not an Alertmanager: {error}. {remedy}") from None
    return found
