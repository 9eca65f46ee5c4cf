"""The shipped rules without Kubernetes."""

from __future__ import annotations

import re

from metricat_hub.evaluation.machine_actions import ACTIONS
from metricat_hub.evaluation.rules import AlertingRule, RecordingRule
from metricat_hub.evaluation.shipped import applies, shipped_groups
from metricat_rules.catalogue import CATALOGUE, RECORDINGS
from metricat_rules.hub import HUB_ALERTS


def test_rules_are_those_that_read_only_series_of_agents() -> None:
    groups = shipped_groups(10_000, 30_000)
    rules = [rule for group in groups for rule in group.rules]
    alerts = {rule.name for rule in rules if isinstance(rule, AlertingRule)}
    of_catalogue = {alert.name for alert in CATALOGUE if applies(alert)}
    assert alerts == of_catalogue | {alert.name for alert in HUB_ALERTS}
    assert {"NodeCPUUsageHigh", "NodeFilesystemFillsUp", "EndpointDown"} <= alerts
    assert alerts.isdisjoint({"NodeCordoned", "NodeNew", "NodePressureEviction", "MetricatWatchdog"})
    recorded = {rule.name for rule in rules if isinstance(rule, RecordingRule)}
    assert {recording.name for recording in RECORDINGS} <= recorded
    assert all("<" not in rule.expression.replace("< ", "").replace("<=", "") for rule in rules)


def test_rate_window_grows_with_the_scrape_interval() -> None:
    windows = [
        {rule.expression.partition("[")[2].partition("]")[0] for rule in group.rules if "rate(" in rule.expression}
        for interval in (10_000, 60_000)
        for group in shipped_groups(interval, 30_000)[:1]
    ]
    assert ["60s" in windows[0], "240s" in windows[1]] == [True, True]


def test_actions_do_not_need_kubernetes() -> None:
    rules = [rule for group in shipped_groups(10_000, 30_000) for rule in group.rules]
    actions = {rule.name: rule.annotations["action"].source for rule in rules if isinstance(rule, AlertingRule)}
    assert ACTIONS.keys() <= actions.keys()
    of_cluster = re.compile(r"\bpods?\b|kubectl|kubelet|other nodes|[Dd]rain")
    assert [text for text in actions.values() if of_cluster.search(text)] == []
