"""Dashboard of the processes with the highest CPU and memory usage."""

from metricat_tools.generate.dashboards.grafana import Board, Panel, PanelRow, Query, explore_link
from metricat_tools.generate.dashboards.series import (
    ANNOTATIONS,
    CLUSTER,
    NODE,
    NODES,
    PLACE,
    TARGET,
    TO_NODE,
    TO_NODE_OF_ROW,
    ranked,
)

_KEYS = "node, name, pid"
_LABELS = 'node="${__field.labels.node}",pid="${__field.labels.pid}",name="${__field.labels.name}"'
_CALLED = "{{name}} ({{pid}}) on {{node}}"


def _panel(title: str, metric: str, unit: str, what: str, rank: str) -> Panel:
    name = f"metricat_process_{metric}"
    links = (explore_link(f"{name}{{{_LABELS}}}"), TO_NODE)
    return Panel(title, (Query(ranked(name, _KEYS, rank=rank), _CALLED),), unit=unit, what=what, links=links)


def _with_pod(metric: str) -> str:
    """Return the query of the highest processes with the names of their pods, if kube-state-metrics exports them."""
    processes = f"topk(20, max by ({_KEYS}, pod_uid) (metricat_process_{metric}{{{NODES}}}))"
    names = "kube_pod_info{}"
    for label, source in (("pod_uid", "uid"), ("pod_name", "pod"), ("pod_namespace", "namespace")):
        names = f'label_join({names}, "{label}", "", "{source}")'
    names = f"max by (pod_uid, pod_namespace, pod_name) ({names})"
    return f"{processes} * on (pod_uid) group_left (pod_namespace, pod_name) {names} or on ({_KEYS}) {processes}"


BOARD = Board(
    "processes",
    "Processes",
    "Processes with the highest usage: of each node, the ten highest by CPU and by memory.",
    (CLUSTER, TARGET, NODE),
    (
        PanelRow(
            "The ten highest",
            (
                _panel(
                    "CPUs",
                    "cpu_ratio",
                    "none",
                    "The ten processes with the most CPU time in the time range. 1 is one whole CPU.",
                    "sum_over_time",
                ),
                _panel(
                    "Memory",
                    "resident_memory_bytes",
                    "bytes",
                    "Resident memory of the ten processes with the highest value in the time range.",
                    "max_over_time",
                ),
                _panel(
                    "Threads",
                    "threads",
                    "none",
                    "The ten processes with the most threads in the time range.",
                    "max_over_time",
                ),
                Panel(
                    "By pod",
                    (
                        Query(_with_pod("cpu_ratio"), "CPUs", "none"),
                        Query(_with_pod("resident_memory_bytes"), "Memory", "bytes"),
                    ),
                    "table",
                    "none",
                    hidden=PLACE,
                    what="The processes with the highest usage now. The names of pods come from kube-state-metrics; "
                    "without it, pod_uid is the UID in the metadata of the pod.",
                    links=(TO_NODE_OF_ROW,),
                    sort="CPUs",
                ),
            ),
        ),
    ),
    ANNOTATIONS,
)
