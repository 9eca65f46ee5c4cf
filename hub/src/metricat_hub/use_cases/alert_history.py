"""Corrects the alert history after events were lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.evaluation.transitions import events
from metricat_hub.model.alert_episodes import END_NOT_OBSERVED
from metricat_hub.model.alerts import AlertEvent

if TYPE_CHECKING:
    from metricat_hub.model.alert_history import AlertHistory
    from metricat_hub.use_cases.rules import Rules


def reconcile(history: AlertHistory, rules: Rules, before: int, now: int) -> None:
    """Record the current alerts of the rules, and end the episodes of alerts that no longer exist.

    Args:
        history: the alert history, which ignores events that it already has.
        rules: the loaded rules with their alerts.
        before: end only episodes that began before this time. A running evaluation may have recorded later ones.
        now: the recorded end of the ended episodes.

    Raises:
        StoreUnavailableError: the history is not available now.
    """
    current = history.open_episodes()
    alerts = {one.labels: one for one in rules.alerts()}
    history.record(events({}, alerts, now))
    active = {labels for labels, one in alerts.items() if one.state.resolved is None}
    history.record(
        [
            AlertEvent(now, "resolved", one.fingerprint, one.labels, active_at=one.started, details=END_NOT_OBSERVED)
            for one in current
            if not one.source and one.labels not in active and one.started < before
        ]
    )
