"""The shipped rules: the catalogue of a cluster, over the series of agents that this hub scrapes or receives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.config.yaml_text import Node
from metricat_hub.evaluation import rule_file
from metricat_rules.catalogue import CATALOGUE
from metricat_rules.groups import Scope, alert_group, baseline_group, recording_group
from metricat_rules.node_lifecycle import ALERTS as ALERTS_OF_THE_CLUSTER
from metricat_rules.settings import AlertSettings, LevelSettings

if TYPE_CHECKING:
    from metricat_hub.evaluation.rules import Group
    from metricat_rules.alert import Alert

FILE = "shipped"
"""What the API returns as the file of these groups."""
_NAMESPACE, _TARGET, _SERVICE = "local", "machines", "metricat"
"""Labels of the series of agents outside of Kubernetes."""
_WINDOW_INTERVALS = 4
"""A rate window has this many scrape intervals, so that one missing scrape does not end a rate."""


def shipped_groups(scrape_interval: int, interval: int) -> list[Group]:
    """Return the groups of the recording rules and alerts that apply without Kubernetes.

    Args:
        scrape_interval: milliseconds between two samples of a series.
        interval: milliseconds between two evaluations.
    """
    window = max(60, -(-_WINDOW_INTERVALS * scrape_interval // 1000))
    scope = Scope(_NAMESPACE, _TARGET, _SERVICE, window)
    settings = {alert.name: _defaults(alert) for alert in CATALOGUE if applies(alert)}
    groups = [
        recording_group("metricat-recording", scope),
        baseline_group("metricat-baseline", scope),
        alert_group("metricat-alerts", scope, settings, ""),
    ]
    return rule_file.parse(_node({"groups": groups}), FILE, interval)


def applies(alert: Alert) -> bool:
    """Return whether an alert can fire outside of Kubernetes."""
    return alert.per_node and alert not in ALERTS_OF_THE_CLUSTER


def _defaults(alert: Alert) -> AlertSettings:
    levels = {one.severity: LevelSettings(duration=one.duration, threshold=one.threshold) for one in alert.levels}
    return AlertSettings(levels, {})


def _node(value: object) -> Node:
    """Return a value as a node of a file."""
    if isinstance(value, dict):
        return Node({key: _node(one) for key, one in value.items()}, 1, "map")
    if isinstance(value, list):
        return Node([_node(one) for one in value], 1, "seq")
    return Node(str(value), 1, "str")
