"""Cases of the alerts about the monitoring itself."""

from __future__ import annotations

from rules.cases.samples import (
    BOTH,
    INFO,
    NONE,
    WARNING,
    agents,
    alternating,
    ends,
    inhibiting_states,
    oscillating,
    tainted,
    uncovered,
)
from support.promtool import Case, rate, steady

CASES: dict[str, tuple[Case, ...]] = {
    "NodeAgentDown": (
        Case("many", 10, BOTH, agents(1, 3)),
        Case("one of many", 10, WARNING, agents(1, 19)),
        Case("not for long enough", 4, NONE, agents(1, 3)),
        Case("all well", 30, NONE, agents(0, 4)),
        *(
            Case(f"{state}, from {source}", 12, NONE, {**agents(1, 3), **series})
            for state, source, series in inhibiting_states("n1")
        ),
        *(
            Case(f"no agent, but {state}, from {source}", 12, NONE, {**agents(0, 4), **uncovered(), **series})
            for state, source, series in inhibiting_states("n99")
        ),
        *(
            Case(f"another is {state}, from {source}", 10, BOTH, {**agents(1, 3), **series})
            for state, source, series in inhibiting_states("n2")
        ),
        Case("not cordoned", 10, BOTH, {**agents(1, 3), 'kube_node_spec_unschedulable{node="n1"}': steady(0)}),
        Case("another taint", 10, BOTH, {**agents(1, 3), **tainted("n1", "node.kubernetes.io/disk-pressure")}),
        *(
            Case(f"no longer new, from {source}", 21, BOTH, {**agents(1, 3), **series})
            for state, source, series in inhibiting_states("n1", created=0)
            if state == "new"
        ),
        Case("of another target", 30, NONE, {'up{service="other"}': steady(0)}),
        Case("no agent at all", 10, WARNING, {**agents(0, 10), **uncovered()}),
        Case("no agent on many", 10, BOTH, {**agents(0, 8), **uncovered()}),
        Case("no agent, for changing reasons", 10, WARNING, {**agents(0, 10), **alternating()}),
        Case("virtual", 30, NONE, {**agents(0, 4), **uncovered(reason="VirtualNode")}),
        Case("uncovered by another target", 30, NONE, {**agents(0, 4), **uncovered(target="other")}),
    ),
    "NodeCollectorFailing": (
        Case("fails", 20, WARNING, {'node_scrape_collector_success{collector="hwmon"}': steady(0)}),
        Case("not for long enough", 14, NONE, {'node_scrape_collector_success{collector="hwmon"}': steady(0)}),
        Case("works", 30, NONE, {'node_scrape_collector_success{collector="hwmon"}': steady(1)}),
    ),
    "NodeCollectorIncomplete": (
        Case("dropped series", 20, WARNING, {'metricat_collector_dropped_series_total{collector="zfs"}': rate(500)}),
        Case(
            "unparsable",
            20,
            INFO,
            {'metricat_collector_skipped_total{collector="hwmon",reason="unparsable"}': rate(0.1)},
        ),
        Case("expected", 40, NONE, {'metricat_collector_skipped_total{collector="dmi",reason="root_only"}': rate(0.3)}),
        Case("no longer", 60, NONE, {'metricat_collector_dropped_series_total{collector="zfs"}': steady(500)}),
    ),
    "NodeCollectorPaused": (
        Case("paused", 20, WARNING, {'metricat_collector_paused{collector="ethtool"}': steady(1)}),
        Case("not for long enough", 14, NONE, {'metricat_collector_paused{collector="ethtool"}': steady(1)}),
        Case("resumed", 40, NONE, {'metricat_collector_paused{collector="ethtool"}': ends(steady(1), 10)}),
    ),
    "NodeTextfileError": (
        Case("cannot be read", 20, WARNING, {"node_textfile_scrape_error": steady(1)}),
        Case("is being written", 20, NONE, {"node_textfile_scrape_error": oscillating(0.5, 0.5)}),
        Case("can be read", 30, NONE, {"node_textfile_scrape_error": steady(0)}),
    ),
    "MetricatWatchdog": (Case("always", 2, INFO),),
}
