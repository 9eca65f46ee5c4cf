"""The metrics of the operator and of the agent pass `promtool check metrics`."""

import subprocess
import sys

from prometheus_client import generate_latest

from metricat_operator.facts.model import Node
from metricat_operator.metrics.nodes import node_families
from metricat_operator.metrics.own import (
    OperatorMetrics,
    asyncio_tasks,
    open_watches,
    watch_activity_ages,
    workqueue_depth,
)
from metricat_operator.metrics.targets import target_families
from support.harness import target
from support.promtool import promtool

STATUS = {
    "conditions": [{"type": "Ready", "status": "False"}],
    "nodes": {"desired": 3, "ready": 2, "updated": 3, "uncovered": 1},
    "uncovered": [{"node": "n3", "pool": "default", "reason": "ImagePullBackOff", "message": 'a "quoted" word'}],
}


def test_operator_metrics_pass_promtool() -> None:
    metrics = OperatorMetrics()
    metrics.count_request("list", 200)
    metrics.errors.labels("Unreachable").inc()
    for families in (
        lambda: workqueue_depth(1),
        lambda: asyncio_tasks(3),
        lambda: open_watches({"Node": 1, "Pod": 2}),
        lambda: watch_activity_ages(2.0, [("Pod", 1.0), ("Pod", 0.5)]),
        lambda: target_families([{**target("monitoring"), "status": STATUS}], {}),
        lambda: node_families(
            [
                Node(
                    "n1",
                    created=60.0,
                    unschedulable=True,
                    pressures=("PIDPressure",),
                    problems=(("Ready", "KubeletNotReady"),),
                )
            ],
            now=90.0,
        ),
    ):
        metrics.collect_families(families)
    page = generate_latest(metrics.registry)
    for name in (
        b"metricat_node_uncovered",
        b"metricat_node_cordoned",
        b"metricat_node_pressure",
        b"metricat_node_created_timestamp_seconds",
    ):
        assert name + b"{" in page
    done = subprocess.run([promtool(), "check", "metrics"], input=page, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_agent_metrics_fail_promtool_only_by_names_of_node_exporter() -> None:
    page = subprocess.run(
        [sys.executable, "-m", "metricat_agent", "--once"], check=True, capture_output=True, timeout=60
    ).stdout
    done = subprocess.run([promtool(), "check", "metrics"], input=page, check=False, capture_output=True, timeout=60)
    faults = [line for line in done.stderr.decode().splitlines() if line]
    theirs = ("node_memory_", "node_netstat_", "node_entropy_", "node_sockstat_")
    assert [line for line in faults if not line.startswith(theirs)] == []
