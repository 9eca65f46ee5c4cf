"""The settings of the alert history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.model.durations import parse_duration
from metricat_hub.model.server import Server, checked_url

if TYPE_CHECKING:
    from metricat_agent.config.loader import RawSettings

_DAY = 86_400_000
_MOST = 100 * 365 * _DAY


@dataclass(frozen=True, slots=True)
class AlertHistorySettings:
    """Settings of the alert history: its retention in milliseconds, and the Alertmanager that sends webhooks to it."""

    retention: int
    alertmanager: Server | None
    """The Alertmanager from which the hub reads missed alerts, and with a Prometheus as store also manages silences.

    None: the hub does not query an Alertmanager.
    """


def alert_history_settings(raw: RawSettings) -> AlertHistorySettings:
    """Parse the settings of the alert history; raise `SettingError` for an invalid value."""
    value = raw.get("alert-history.retention")
    try:
        retention = parse_duration(value.text)
    except ValueError as error:
        raise value.error(str(error)) from None
    if not _DAY <= retention <= _MOST:
        raise value.error("outside of 1d to 100y; write for example 90d or 1y")
    url = raw.get("alert-history.alertmanager-url")
    try:
        alertmanager = Server(checked_url(url.text)) if url.text else None
    except ValueError as error:
        raise url.error(str(error)) from None
    return AlertHistorySettings(retention, alertmanager)
