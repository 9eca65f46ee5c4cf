"""Cases of the alerts about nodes that are cordoned, new or under pressure."""

from __future__ import annotations

from metricat_rules.node_lifecycle import PRESSURES
from rules.cases.samples import (
    INFO,
    NONE,
    WARNING,
    agents,
    cordoned,
    gone,
    in_pool,
    inhibiting_states,
    node_condition,
    pressure,
    problem,
    since,
    uncovered,
    until,
)
from support.promtool import Case, change, steady

OVER = 'kube_node_status_condition{node="n1",condition="DiskPressure",status="true"}'
CASES: dict[str, tuple[Case, ...]] = {
    "NodePressureEviction": (
        *(
            Case(f"{one}, from {source}", 1, WARNING, {**agents(0, 2), **series})
            for one in PRESSURES
            for source, series in (
                ("kube-state-metrics", node_condition(one)),
                ("the operator", pressure(one)),
                ("each of them", {**node_condition(one), **pressure(one)}),
            )
        ),
        Case("no agent", 1, WARNING, {**agents(0, 2), **uncovered(), **pressure("DiskPressure", "n99")}),
        Case("within a minute", 6, WARNING, {**agents(0, 2), **since(5, pressure("DiskPressure"))}),
        Case("not yet", 4, NONE, {**agents(0, 2), **since(5, pressure("DiskPressure"))}),
        Case("over", 6, NONE, {**agents(0, 2), OVER: change(steady(1), 5, steady(0))}),
        Case("healthy", 30, NONE, {**agents(0, 2), **node_condition("DiskPressure", "false")}),
        Case("unknown", 30, NONE, {**agents(0, 2), **node_condition("DiskPressure", "unknown")}),
        Case("not ready", 30, NONE, {**agents(0, 2), **node_condition("Ready")}),
        Case("another target's", 30, NONE, {'up{service="other"}': steady(1), **pressure("DiskPressure")}),
    ),
    "NodeUnhealthy": (
        *(
            Case(f"{kind}, from {source}", 7, WARNING, {**agents(0, 2), **series})
            for kind, status in (("Ready", "unknown"), ("KernelDeadlock", "true"), ("StorageReady", "false"))
            for source, series in (
                ("kube-state-metrics", node_condition(kind, status)),
                ("the operator", problem(kind)),
                ("each of them", {**node_condition(kind, status), **problem(kind)}),
            )
        ),
        Case("not for long enough", 4, NONE, {**agents(0, 2), **problem("Ready")}),
        Case("moves between pools", 7, WARNING, {**agents(0, 2), **in_pool("other"), **problem("Ready")}),
        Case(
            "healthy",
            30,
            NONE,
            {**agents(0, 2), **node_condition("Ready"), **node_condition("KernelDeadlock", "false")},
        ),
        Case("another alert reports it", 30, NONE, {**agents(0, 2), **node_condition("DiskPressure")}),
        Case("a condition of an unknown meaning", 30, NONE, {**agents(0, 2), **node_condition("HappyHour")}),
        Case("another target's", 30, NONE, {'up{service="other"}': steady(1), **problem("Ready")}),
    ),
    "NodeCordoned": (
        *(
            Case(f"{state}, from {source}", 2, NONE if state == "new" else INFO, {**agents(0, 4), **series})
            for state, source, series in inhibiting_states("n1")
        ),
        Case("no agent, and cordoned", 2, INFO, {**agents(0, 4), **uncovered(), **cordoned("n99")}),
        Case("another target's", 2, NONE, {'up{service="other"}': steady(1), **cordoned("n1")}),
        Case("until a moment ago", 33, INFO, {**agents(0, 4), **until(30, cordoned("n1"))}),
        Case("no longer", 41, NONE, {**agents(0, 4), **until(30, cordoned("n1"))}),
        Case("no longer, and without an agent", 41, NONE, {**agents(1, 3), **until(30, cordoned("n1"))}),
        Case("when it was deleted", 100, INFO, until(30, {**agents(0, 4), **cordoned("n1")})),
        Case("long ago, when it was deleted", 170, NONE, until(30, {**agents(0, 4), **cordoned("n1")})),
        Case("when it was deleted, but is back", 100, NONE, {**gone(30, 90), **until(30, cordoned("n1"))}),
        Case("in another pool since", 100, NONE, {**until(30, {**agents(0, 4), **cordoned("n1")}), **in_pool("other")}),
        Case("not when it was deleted", 40, NONE, until(30, agents(0, 4))),
        Case("no series report it", 30, NONE, agents(0, 4)),
    ),
    "NodeNew": (
        *(
            Case(f"{state}, from {source}", 14, INFO if state == "new" else NONE, {**agents(0, 4), **series})
            for state, source, series in inhibiting_states("n1", created=0)
        ),
        *(
            Case(f"no longer new, or {state}, from {source}", 16, NONE, {**agents(0, 4), **series})
            for state, source, series in inhibiting_states("n1", created=0)
        ),
        Case("no series report it", 30, NONE, agents(0, 4)),
    ),
}
