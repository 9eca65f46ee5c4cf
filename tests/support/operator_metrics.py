"""The names of the series that the operator exposes about itself."""

from metricat_operator.facts.model import Node, OperatorClaim
from metricat_operator.metrics.nodes import node_families
from metricat_operator.metrics.own import (
    OperatorMetrics,
    asyncio_tasks,
    leader,
    open_watches,
    watch_activity_ages,
    workqueue_depth,
)
from metricat_operator.metrics.targets import left_families, target_families


def names() -> set[str]:
    node = {"node": "n1", "pool": "default", "reason": "x"}
    counts = {"desired": 1, "ready": 1, "updated": 1, "uncovered": 0}
    status = {"conditions": [{"type": "Ready", "status": "True"}], "nodes": counts, "uncovered": [node]}
    status["pools"] = [{"name": "gpu", "desired": 1}]
    target = {"metadata": {"namespace": "monitoring", "name": "nodes"}, "status": status}
    metrics = OperatorMetrics()
    metrics.count_request("get", 200)
    metrics.errors.labels("Unreachable").inc()
    families = [
        *leader(leads=True),
        *workqueue_depth(0),
        *asyncio_tasks(3),
        *open_watches({"Node": 1}),
        *watch_activity_ages(0, [("Node", 0)]),
        *target_families([target], {}),
        *left_families({("monitoring", "nodes"): OperatorClaim("team/metricat", mine=False)}),
    ]
    families += node_families(
        [
            Node(
                "n1",
                unschedulable=True,
                created=0.0,
                pressures=("DiskPressure",),
                problems=(("Ready", "KubeletNotReady"),),
            )
        ],
        now=0.0,
    )
    metrics.collect_families(lambda: families)
    return {sample.name for family in metrics.registry.collect() for sample in family.samples}
