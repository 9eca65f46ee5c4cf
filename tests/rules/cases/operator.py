"""Cases of the alerts about the operator."""

from __future__ import annotations

from rules.cases.samples import NONE, WARNING, hourly_growth, left, monitored, nodes_selected
from support.promtool import Case, change, rate, steady

DESIRED_0, DESIRED_2 = (
    {'metricat_target_nodes_desired{target_namespace="monitoring",target="nodes"}': steady(count)} for count in (0, 2)
)

CASES: dict[str, tuple[Case, ...]] = {
    "MetricatNotMonitored": (
        Case("broken", 16, WARNING, monitored("False")),
        Case("not for long enough", 14, NONE, monitored("False")),
        Case("works", 30, NONE, monitored("True")),
        Case("unknown", 30, NONE, monitored("Unknown")),
        Case("no nodes", 30, NONE, {**monitored("False"), **nodes_selected("False"), **DESIRED_0}),
        Case("no nodes, which is allowed", 30, WARNING, {**monitored("False"), **nodes_selected("True"), **DESIRED_0}),
        Case("empty pool", 30, WARNING, {**monitored("False"), **nodes_selected("False"), **DESIRED_2}),
    ),
    "MetricatNoNodesSelected": (
        Case("no nodes", 16, WARNING, {**nodes_selected("False"), **DESIRED_0}),
        Case("an empty pool", 16, WARNING, {**nodes_selected("False"), **DESIRED_2}),
        Case("not for long enough", 14, NONE, {**nodes_selected("False"), **DESIRED_0}),
        Case("selected", 30, NONE, {**nodes_selected("True"), **DESIRED_2}),
        Case("no nodes, which is allowed", 30, NONE, {**nodes_selected("True"), **DESIRED_0}),
    ),
    "MetricatOperatorsOverlap": (
        Case("claimed by another", 16, WARNING, left("ClaimedByOther")),
        Case("an older operator", 16, WARNING, left("OlderOperator")),
        Case("not for long enough", 14, NONE, left("ClaimedByOther")),
        Case("named by the annotation", 30, NONE, left("NamedOperator")),
    ),
    "MetricatNoLeader": (
        Case("no series", 6, WARNING),
        Case("both stand by", 6, WARNING, {f'metricat_leader{{pod="{pod}"}}': steady(0) for pod in "ab"}),
        Case("one leads", 30, NONE, {'metricat_leader{pod="a"}': steady(0), 'metricat_leader{pod="b"}': steady(1)}),
        Case(
            "handed over",
            30,
            NONE,
            {
                'metricat_leader{pod="a"}': change(steady(1), 10, steady(0)),
                'metricat_leader{pod="b"}': change(steady(0), 11, steady(1)),
            },
        ),
    ),
    "MetricatReconcileFailing": (
        Case("again and again", 20, WARNING, {'metricat_reconcile_errors_total{reason="Forbidden"}': rate(0.02)}),
        Case(
            "once",
            40,
            NONE,
            {'metricat_reconcile_errors_total{reason="Unreachable"}': change(steady(0), 5, steady(1))},
        ),
    ),
    "MetricatWatchStale": (
        Case("stale", 2, WARNING, {'metricat_watch_last_activity_age_seconds{kind="Node",pod="a"}': steady(100)}),
        Case(
            "before the liveness probe restarts the pod",
            3,
            WARNING,
            {'metricat_watch_last_activity_age_seconds{kind="Node",pod="a"}': hourly_growth(0, 3600)},
        ),
        Case(
            "a bookmark each minute",
            30,
            NONE,
            {'metricat_watch_last_activity_age_seconds{kind="Node",pod="a"}': steady(61)},
        ),
    ),
}
