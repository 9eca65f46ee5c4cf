"""The shipped rules: the alert catalogue, applied to the series of agents that this hub scrapes or receives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from metricat_hub.evaluation import rule_file
from metricat_hub.evaluation.machine_actions import ACTIONS
from metricat_rules.catalogue import CATALOGUE
from metricat_rules.groups import Scope, alert_group, baseline_group, recording_group
from metricat_rules.hub import HUB_ALERTS
from metricat_rules.node_lifecycle import ALERTS as ALERTS_OF_THE_CLUSTER
from metricat_rules.settings import AlertSettings, LevelSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_hub.evaluation.rules import Group
    from metricat_rules.alert import Alert, Severity

FILE = "shipped"
"""The name that the API returns as the file of these groups."""
LABELS = {"namespace": "local", "service": "metricat"}
"""Labels of the series of agents outside of Kubernetes. The shipped rules read only series with these labels."""
_TARGET = "machines"
_WINDOW_INTERVALS = 4
"""The number of scrape intervals in a rate window. One missing scrape must not interrupt a rate."""
_ALERTS, _HUB_ALERTS = "metricat-alerts", "metricat-hub"


@dataclass(frozen=True, slots=True)
class Override:
    """The user's settings of a shipped alert. They contain all levels, also unchanged ones."""

    settings: AlertSettings
    pools: Mapping[str, AlertSettings] = field(default_factory=dict)
    """Settings for the nodes of a pool, by name of the pool. They replace `settings` for these nodes."""


@dataclass(frozen=True)
class _Scope(Scope):
    """A scope that can leave out pools."""

    other_than: tuple[str, ...] = ()

    @property
    def _pools(self) -> str:
        return f',pool!~"{"|".join(self.other_than)}"' if self.other_than else super()._pools


def applies(alert: Alert) -> bool:
    """Return whether an alert applies outside of Kubernetes."""
    return alert.per_node and alert not in ALERTS_OF_THE_CLUSTER


SHIPPED = {alert.name: alert for alert in (*(one for one in CATALOGUE if applies(one)), *HUB_ALERTS)}
"""The alerts that the hub evaluates, by name."""


def shipped_groups(scrape_interval: int, interval: int, overrides: Mapping[str, Override] | None = None) -> list[Group]:
    """Return the groups of the recording rules and alerts that apply without Kubernetes.

    Args:
        scrape_interval: milliseconds between two samples of a series.
        interval: milliseconds between two evaluations.
        overrides: the user's settings by name of the alert; other alerts have their defaults.
    """
    scope = _whole_scope(scrape_interval)
    alerts: dict[str, Any] = {"name": _ALERTS, "rules": []}
    of_hub: dict[str, Any] = {"name": _HUB_ALERTS, "rules": []}
    for alert in SHIPPED.values():
        group = of_hub if alert in HUB_ALERTS else alerts
        group["rules"] += _rules(alert, (overrides or {}).get(alert.name), scope)
    groups = [
        recording_group("metricat-recording", scope),
        baseline_group("metricat-baseline", scope),
        alerts,
        of_hub,
    ]
    return rule_file.parse(rule_file.node_of({"groups": groups}), FILE, interval)


def shipped_alert(alert: Alert, override: Override, scrape_interval: int, interval: int) -> Group:
    """Return a group with the rules of one alert."""
    scope = _whole_scope(scrape_interval)
    name = _HUB_ALERTS if alert in HUB_ALERTS else _ALERTS
    group = {"name": name, "rules": _rules(alert, override, scope)}
    return rule_file.parse(rule_file.node_of({"groups": [group]}), FILE, interval)[0]


def _whole_scope(scrape_interval: int) -> _Scope:
    """Return the scope of all nodes."""
    return _Scope(LABELS["namespace"], _TARGET, LABELS["service"], _window(scrape_interval))


def _window(scrape_interval: int) -> int:
    """Return the rate window in seconds."""
    return max(60, -(-_WINDOW_INTERVALS * scrape_interval // 1000))


def _rules(alert: Alert, override: Override | None, scope: _Scope) -> list[Any]:
    """Return the rules of an alert: those of all nodes first, then those of each pool with its own settings."""
    override = override or Override(defaults(alert))
    pools = sorted(override.pools)
    scopes = [
        (_scope(scope, other_than=tuple(pools)), override.settings),
        *((_scope(scope, pools=(pool,)), override.pools[pool]) for pool in pools),
    ]
    rules = [
        rule
        for own, settings in scopes
        for rule in alert_group(_ALERTS, own, {alert.name: settings}, "", (alert,))["rules"]
    ]
    if alert.name in ACTIONS:
        for rule in rules:
            rule["annotations"]["action"] = ACTIONS[alert.name]
    return rules


def _scope(scope: _Scope, pools: tuple[str, ...] = (), other_than: tuple[str, ...] = ()) -> _Scope:
    return _Scope(
        scope.namespace, scope.target, scope.service, scope.window_seconds, pools=pools, other_than=other_than
    )


def defaults(alert: Alert) -> AlertSettings:
    """Return the default settings of an alert."""
    levels: dict[Severity, LevelSettings] = {
        one.severity: LevelSettings(duration=one.duration, threshold=one.threshold) for one in alert.levels
    }
    return AlertSettings(levels, {})
