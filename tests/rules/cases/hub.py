"""Cases of the alerts about the hub's own evaluation of rules."""

from __future__ import annotations

from rules.cases.samples import NONE, WARNING
from support.promtool import Case, change, rate, steady

_OF = '{group="a",file="own.yaml"}'
MISSED = f"metricat_hub_rule_group_missed_evaluations_total{_OF}"
FAILED = f"metricat_hub_rule_group_evaluation_failures_total{_OF}"
DURATION = f"metricat_hub_rule_group_last_duration_seconds{_OF}"
INTERVAL = f"metricat_hub_rule_group_interval_seconds{_OF}"

CASES: dict[str, tuple[Case, ...]] = {
    "MetricatHubRulesLate": (
        Case("each second evaluation is missed", 10, WARNING, {MISSED: rate(1 / 60)}),
        Case("not for long enough", 4, NONE, {MISSED: rate(1 / 60)}),
        Case("one missed evaluation", 30, NONE, {MISSED: change(steady(0), 5, steady(1))}),
        Case("none", 30, NONE, {MISSED: steady(3)}),
    ),
    "MetricatHubRulesFailing": (
        Case("each evaluation fails", 10, WARNING, {FAILED: rate(1 / 30)}),
        Case("one failure", 12, WARNING, {FAILED: change(steady(0), 2, steady(1))}),
        Case("one failure long ago", 40, NONE, {FAILED: change(steady(0), 2, steady(1))}),
        Case("none", 30, NONE, {FAILED: steady(3)}),
    ),
    "MetricatHubRulesExpensive": (
        Case("most of the interval", 12, WARNING, {DURATION: steady(20), INTERVAL: steady(30)}),
        Case("not for long enough", 9, NONE, {DURATION: steady(20), INTERVAL: steady(30)}),
        Case("a third of the interval", 30, NONE, {DURATION: steady(10), INTERVAL: steady(30)}),
    ),
}
