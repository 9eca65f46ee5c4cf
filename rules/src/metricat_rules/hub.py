"""Alerts about the hub's own evaluation of rules. The hub evaluates them; a Prometheus in a cluster does not."""

from metricat_rules.alert import Alert, Level

_BY = "node, group, file"
_GROUP = "Rule group {{ $labels.group }} (source: {{ $labels.file }}) on the hub {{ $labels.node }}"

HUB_ALERTS: tuple[Alert, ...] = (
    Alert(
        name="MetricatHubRulesLate",
        meaning="The hub has skipped evaluations of a group of rules, usually because earlier evaluations took too "
        "long. Alerts of the group can fire late.",
        expr=f"max by ({_BY}) (increase(metricat_hub_rule_group_missed_evaluations_total[15m])) > <threshold>",
        resource="rules late {{ $labels.file }} {{ $labels.group }}",
        summary="Rules of group {{ $labels.group }} are evaluated late",
        description=f"{_GROUP} missed "
        '{{ $value | printf "%.0f" }} evaluations in 15 minutes (threshold <threshold>).',
        action="Query metricat_hub_rule_group_last_duration_seconds to find the groups that take long. Give them a "
        "longer "
        "interval, or simplify their expressions.",
        unit="evaluations",
        levels=(Level("warning", 1, "5m"),),
    ),
    Alert(
        name="MetricatHubRulesFailing",
        meaning="The evaluation of a rule fails, or the store rejects its samples. While the query of a rule fails, "
        "the alerts of the rule keep their state.",
        expr=f"max by ({_BY}) (increase(metricat_hub_rule_group_evaluation_failures_total[15m])) > 0",
        resource="rules failing {{ $labels.file }} {{ $labels.group }}",
        summary="Rules of group {{ $labels.group }} fail",
        description=f'{_GROUP} had {{{{ $value | printf "%.0f" }}}} failed evaluations of rules in 15 minutes.',
        action="Open /api/status of the hub: it names the rule and the error. Correct the expression.",
        levels=(Level("warning", None, "5m"),),
    ),
    Alert(
        name="MetricatHubRulesExpensive",
        meaning="The evaluation of a group takes a large part of the group's interval. If it takes longer than the "
        "interval, the hub skips evaluations.",
        expr=f"100 * max by ({_BY}) (metricat_hub_rule_group_last_duration_seconds) "
        f"/ on ({_BY}) max by ({_BY}) (metricat_hub_rule_group_interval_seconds) > <threshold>",
        resource="rules expensive {{ $labels.file }} {{ $labels.group }}",
        summary="Rules of group {{ $labels.group }} take long",
        description=f"{_GROUP} takes "
        '{{ $value | printf "%.0f" }} % of its interval for an evaluation (threshold <threshold> %).',
        action="Open /api/v1/rules of the hub: evaluationTime names the expensive rules. Give the group a longer "
        "interval, or simplify their expressions.",
        unit="% of the interval",
        levels=(Level("warning", 50, "10m"),),
    ),
)
