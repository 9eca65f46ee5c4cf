"""Alerts about the watching itself."""

from metricat_operator.alerts.alert import NODE, Alert, Level
from metricat_operator.alerts.recording import KEYS

_UP = f"max by ({KEYS}) (up{{<selector>}})"
_DRAINED = "unless on (node) kube_node_spec_unschedulable == 1"
"""Where kube-state-metrics is there, cordoned nodes are left out; without it, this has no effect."""

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="NodeAgentDown",
        meaning="Prometheus knows the agent of the node, but cannot scrape it. Critical: so it is on many nodes. Nodes "
        "that are cordoned are left out where kube-state-metrics tells.",
        expr=f"{_UP} == 0 {_DRAINED}",
        resource="agent",
        summary="{{ if $labels.node }}The agent on {{ $labels.node }}{{ else }}Many agents{{ end }} cannot be scraped",
        description="Prometheus gets no metrics from {{ if $labels.node }}the agent on {{ $labels.node }} "
        '(pool {{ $labels.pool }}){{ else }}{{ $value | printf "%.1f" }} % of the agents (threshold <threshold> %)'
        "{{ end }}.",
        unit="% of the nodes",
        levels=(
            Level("warning", None, "5m"),
            Level(
                "critical",
                10,
                "5m",
                f"100 * count by (namespace, service) ({_UP} == 0 {_DRAINED}) "
                f"/ count by (namespace, service) ({_UP}) > <threshold>",
            ),
        ),
    ),
    Alert(
        name="NodeCollectorFailing",
        meaning="A part of the agent cannot read its part of the node.",
        expr=f"max by ({KEYS}, collector) (node_scrape_collector_success{{<selector>}}) == 0",
        resource="collector {{ $labels.collector }}",
        summary="Collector {{ $labels.collector }} on {{ $labels.node }} fails",
        description=f"Collector {{{{ $labels.collector }}}} of the agent on {NODE} fails at every scrape; "
        "its log says why.",
        levels=(Level("warning", None, "15m"),),
    ),
    Alert(
        name="MetricatWatchdog",
        meaning="Always fires, so that a receiver can notice when the chain from Prometheus to it is broken.",
        expr="vector(1)",
        resource="chain",
        summary="The alerting chain works",
        description="This alert always fires. Its silence means that Prometheus or Alertmanager does not work.",
        levels=(Level("info", None, "0s"),),
    ),
)
