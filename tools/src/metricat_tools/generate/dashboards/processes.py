"""Dashboard of the processes with the highest CPU and memory usage."""

from metricat_tools.generate.dashboards.grafana import Board, Panel, PanelRow, Query
from metricat_tools.generate.dashboards.series import CLUSTER, NODE, NODES, PLACE, TARGET


def _process(name: str) -> str:
    return f"topk(10, max by (node, name, pid, pod_uid) (metricat_process_{name}{{{NODES}}}))"


_CALLED = "{{name}} ({{pid}}) on {{node}}"
BOARD = Board(
    "processes",
    "Processes",
    "Processes with the highest usage: of each node, the ten highest by CPU and by memory.",
    (CLUSTER, TARGET, NODE),
    (
        PanelRow(
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
                    what="pod_uid is the uid in the pod's metadata. kube-state-metrics' kube_pod_info has its name.",
                ),
            ),
        ),
    ),
)
