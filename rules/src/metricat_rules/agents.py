"""Alerts about the monitoring itself: agents, collectors and the alerting chain."""

from metricat_rules.alert import NODE, Alert, Level
from metricat_rules.node_lifecycle import INHIBITED_BY
from metricat_rules.recording import KEYS

_WHY = (
    "{{ with printf `topk(1, metricat_node_uncovered{<coverage>,node=%q})` $labels.node | query }}"
    ": {{ (first .).Labels.reason }}{{ end }}"
)
_LOST = (
    f"metricat:node_agent:up{{<selector>}} == 0 "
    f'unless on ({KEYS}) ALERTS{{alertname=~"{INHIBITED_BY}",alertstate="firing",<selector>}}'
)

_LAST = (
    "{{ with printf `round(time() - max(metricat_collector_last_success_timestamp_seconds"
    "{<selector>,node=%q,collector=%q}))` $labels.node $labels.collector | query }}"
    ". It last succeeded {{ . | first | value | humanizeDuration }} ago{{ end }}"
)

_EXPECTED = "no_value|root_only|other_namespace"
"""Reasons for which an agent omits data on a healthy node too."""
_INCREASE = f"max by ({KEYS}, collector) (increase({{metric}}[15m])) > 0"
_SKIPPED = _INCREASE.format(metric=f'metricat_collector_skipped_total{{reason!~"{_EXPECTED}",<selector>}}')
_DROPPED = _INCREASE.format(metric="metricat_collector_dropped_series_total{<selector>}")

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="NodeAgentDown",
        meaning="Prometheus cannot scrape the agent of the node, or the operator reports that the node has no agent "
        "(if Prometheus scrapes the operator). Critical: more nodes than the threshold are affected. "
        "Nodes for which NodeCordoned or NodeNew fires are ignored.",
        expr=_LOST,
        resource="agent",
        summary="The agent on {{ $labels.node }} cannot be scraped",
        description=f"Prometheus gets no metrics from the agent on {NODE}{_WHY}.",
        action="Run kubectl get mtarget -A -o wide to list the nodes without a ready agent and the causes. "
        "The targets page of Prometheus shows the last error.",
        unit="% of the nodes",
        levels=(
            Level("warning", None, "5m"),
            Level(
                "critical",
                10,
                "5m",
                f"100 * count({_LOST}) / count(metricat:node_agent:up{{<selector>}}) > <threshold>",
                per_target=True,
                summary="Many agents cannot be scraped",
                description='Prometheus gets no metrics from {{ $value | printf "%.1f" }} % of the agents '
                "(threshold <threshold> %).",
            ),
        ),
    ),
    Alert(
        name="NodeCollectorFailing",
        meaning="A collector of the agent fails.",
        expr=f"max by ({KEYS}, collector) (node_scrape_collector_success{{<selector>}}) == 0",
        resource="collector {{ $labels.collector }}",
        summary="Collector {{ $labels.collector }} on {{ $labels.node }} fails",
        description=f"Collector {{{{ $labels.collector }}}} of the agent on {NODE} fails at every scrape{_LAST}. "
        "The agent's log shows the cause.",
        action="Run kubectl logs for the agent's pod on the node. The log shows what the collector could not read, and "
        "why.",
        levels=(Level("warning", None, "15m"),),
    ),
    Alert(
        name="NodeCollectorIncomplete",
        meaning="A collector of the agent exports incomplete data. Warning: it has more series than the agent's limit. "
        "Info: it cannot use some files of the node. Files that it cannot use on healthy nodes either are ignored.",
        expr=_SKIPPED,
        resource="collector {{ $labels.collector }} complete",
        summary="Collector {{ $labels.collector }} on {{ $labels.node }} exports incomplete data",
        description=f"Within 15 minutes, collector {{{{ $labels.collector }}}} of the agent on {NODE} omitted "
        '{{ $value | printf "%.0f" }} files or series, counted at each scrape.',
        action="Run kubectl logs for the agent's pod on the node. The log names omitted files, or the number of "
        "omitted series.",
        levels=(Level("info", None, "15m"), Level("warning", None, "15m", _DROPPED)),
    ),
    Alert(
        name="NodeCollectorPaused",
        meaning="The agent paused a collector, because the agent used more CPU than --agent.cpu-limit allows. The "
        "metrics of the collector are missing.",
        expr=f"max by ({KEYS}, collector) (metricat_collector_paused{{<selector>}}) == 1",
        resource="collector {{ $labels.collector }} paused",
        summary="Collector {{ $labels.collector }} on {{ $labels.node }} is paused",
        description=f"The agent on {NODE} paused collector {{{{ $labels.collector }}}} to stay below its CPU limit.",
        action="Compare metricat_agent_cpu_used_ratio with metricat_agent_cpu_limit_ratio. Exclude devices or "
        "filesystems that the collector need not report, or disable the collector.",
        levels=(Level("warning", None, "15m"),),
    ),
    Alert(
        name="NodeTextfileError",
        meaning="The agent cannot read a .prom file, or the directory of the textfile collector. The metrics of that "
        "file are missing.",
        expr=f"max by ({KEYS}) (node_textfile_scrape_error{{<selector>}}) == 1",
        resource="textfile",
        summary="A .prom file on {{ $labels.node }} cannot be read",
        description=f"The textfile collector of the agent on {NODE} cannot read a .prom file. The agent's log names "
        "the file and the error.",
        action="Run kubectl logs for the agent's pod on the node, and correct the program that writes the file.",
        levels=(Level("warning", None, "15m"),),
    ),
    Alert(
        name="MetricatWatchdog",
        meaning="Always fires, so that a receiver can detect when alerts from Prometheus no longer arrive.",
        expr="vector(1)",
        resource="chain",
        summary="The alerting chain works",
        description="This alert always fires. If it no longer arrives, the chain from Prometheus to the receiver is "
        "broken.",
        action="No action: this alert fires continuously by design.",
        levels=(Level("info", None, "0s", per_target=True),),
    ),
)
