"""The guilty."""

from metricat_tools.generate.dashboards.grafana import Board, Panel, Query, Row
from metricat_tools.generate.dashboards.series import CLUSTER, NODE, NODES, PLACE, TARGET


def _process(name: str) -> str:
    return f"topk(10, max by (node, name, pid, pod_uid) (metricat_process_{name}{{{NODES}}}))"


_CALLED = "{{name}} ({{pid}}) on {{node}}"
BOARD = Board(
    "processes",
    "Processes",
    "The processes that use most, of those that the agents name: the ten by CPU and by memory of each node.",
    (CLUSTER, TARGET, NODE),
    (
        Row(
            "The ten highest",
            (
                Panel("CPUs", (Query(_process("cpu_ratio"), _CALLED),), what="1 is one whole CPU."),
                Panel("Memory", (Query(_process("resident_memory_bytes"), _CALLED),), unit="bytes"),
                Panel("Threads", (Query(_process("threads"), _CALLED),)),
                Panel(
                    "By pod",
                    (
                        Query(_process("cpu_ratio"), "CPUs"),
                        Query(_process("resident_memory_bytes"), "Memory"),
                    ),
                    "table",
                    "none",
                    hidden=PLACE,
                    what="pod_uid is that of the pod's metadata; kube_pod_info of kube-state-metrics has its name.",
                ),
            ),
        ),
    ),
)
