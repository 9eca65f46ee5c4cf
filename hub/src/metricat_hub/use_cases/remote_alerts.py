"""The alerts of a Prometheus that evaluates the rules, with the silences and receivers of its Alertmanager."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal

import msgspec

from metricat_hub.model.alerts import ActiveAlert, fingerprint
from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.model.json_text import decode_json
from metricat_hub.model.labels import from_mapping
from metricat_hub.model.times import parse_rfc3339
from metricat_hub.use_cases.notifications import AlertView

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.store.prometheus.api import Api
    from metricat_hub.use_cases.alertmanager_api import AlertmanagerApi, KnownAlert


class _Alert(msgspec.Struct, rename="camel"):
    labels: dict[str, str]
    state: Literal["pending", "firing"]
    active_at: str
    value: str
    annotations: dict[str, str] = {}


class RemoteRule(msgspec.Struct, rename="camel"):
    """An alert rule that a Prometheus evaluates."""

    name: str
    query: str
    duration: float = 0.0
    labels: dict[str, str] = {}
    alerts: list[_Alert] = []
    health: str = "unknown"
    last_error: str = ""
    state: str = "unknown"


class _Group(msgspec.Struct):
    rules: list[RemoteRule] = []


class _Groups(msgspec.Struct):
    groups: list[_Group] = []


class RemoteAlerts:
    """The alerts of one Prometheus."""

    def __init__(self, api: Api, alertmanager: AlertmanagerApi | None) -> None:
        """`alertmanager` handles the alerts; None: unknown."""
        self._api = api
        self.alertmanager = alertmanager

    def rules(self) -> Sequence[RemoteRule]:
        """Return the alert rules of the Prometheus; raise `HubError` if it does not respond."""
        try:
            found = decode_json(self._api.get("/rules", [("type", "alert")]).data, _Groups)
        except msgspec.MsgspecError as error:
            raise StoreUnavailableError(
                f"{self._api.server.shown} has no API for rules: {error}. Check --store.url."
            ) from None
        return [rule for group in found.groups for rule in group.rules]

    def views(self, namespaces: frozenset[str] | None) -> Sequence[AlertView]:
        """Return the pending and firing alerts of these namespaces (None: all).

        Prometheus adds its external labels only for Alertmanager. So the labels of a firing alert are those in
        Alertmanager, which are also those in the alert history.

        Raises:
            HubError: the Prometheus or its Alertmanager does not respond.
        """
        known: dict[str, list[KnownAlert]] = defaultdict(list)
        own: dict[str, str] = {}
        for one in self.alertmanager.alerts() if self.alertmanager else ():
            known[_key(one.labels)].append(one)
            own[one.fingerprint] = fingerprint(from_mapping(one.labels))
        found = []
        for rule in self.rules():
            for alert in rule.alerts:
                if namespaces is not None and alert.labels.get("namespace", "") not in namespaces:
                    continue
                handled = next(
                    (one for one in known[_key(alert.labels)] if one.labels.items() >= alert.labels.items()), None
                )
                found.append(_view(rule, alert, handled, own))
        return found


def _key(labels: dict[str, str]) -> str:
    return "\0".join(labels.get(name, "") for name in ("alertname", "severity", "namespace", "node"))


def _view(rule: RemoteRule, alert: _Alert, known: KnownAlert | None, own: Mapping[str, str]) -> AlertView:
    """Return an alert. `own` has the hub's fingerprint of each one of Alertmanager."""
    labels = from_mapping(known.labels if known else alert.labels)
    active_at = parse_rfc3339(alert.active_at)
    fired_at = None
    if alert.state == "firing":
        fired_at = parse_rfc3339(known.starts_at) if known else active_at + round(rule.duration * 1000)
    value = _number(alert.value)
    active = ActiveAlert(labels, alert.annotations, value, active_at, fired_at, expression=rule.query)
    status = known.status if known else None
    return AlertView(
        active,
        fingerprint(labels),
        tuple(status.silenced_by) if status else (),
        own.get(status.inhibited_by[0], status.inhibited_by[0]) if status and status.inhibited_by else "",
        None,
        tuple(one.name for one in known.receivers) if known else (),
        None,
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
