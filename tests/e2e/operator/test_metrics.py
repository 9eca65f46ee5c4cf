"""The operator's own metrics pass promtool, and a Prometheus with the permission scrapes them."""

import subprocess

import pytest
from prometheus_client import generate_latest

from metricat_operator.facts.model import Node
from metricat_operator.metrics.nodes import node_families
from metricat_operator.metrics.own import OperatorMetrics, watch_activity_ages, workqueue_depth
from metricat_operator.metrics.targets import target_families
from metricat_tools.demo.demo_cluster import TARGET, DemoCluster
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.wait import until
from support.harness import target
from support.promtool import promtool

pytestmark = pytest.mark.e2e

STATUS = {
    "conditions": [{"type": "Ready", "status": "False"}],
    "nodes": {"desired": 3, "ready": 2, "updated": 3, "uncovered": 1},
    "uncovered": [{"node": "n3", "pool": "default", "reason": "ImagePullBackOff", "message": 'a "quoted" word'}],
}


def test_metrics_pass_promtool() -> None:
    metrics = OperatorMetrics()
    metrics.count_request("list", 200)
    metrics.errors.labels("Unreachable").inc()
    for families in (
        lambda: workqueue_depth(1),
        lambda: watch_activity_ages(2.0, [("Pod", 1.0), ("Pod", 0.5)]),
        lambda: target_families([{**target("monitoring"), "status": STATUS}]),
        lambda: node_families([Node("n1", created=60.0, unschedulable=True)], now=90.0),
    ):
        metrics.collect_families(families)
    page = generate_latest(metrics.registry)
    for name in (b"metricat_node_uncovered", b"metricat_node_cordoned", b"metricat_node_created_timestamp_seconds"):
        assert name + b"{" in page
    done = subprocess.run([promtool(), "check", "metrics"], input=page, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_prometheus_scrapes_both_replicas_and_one_leads(demo: DemoCluster) -> None:
    def values(query: str) -> list[float]:
        return [sample.value for sample in demo.prometheus.query(query)]

    until("both replicas to be scraped", lambda: values('up{service="metricat-metrics"}') == [1, 1])
    until("one replica to lead", lambda: sorted(values("metricat_leader")) == [0, 1])
    mine = f'target_namespace="{NAMESPACE}",target="{TARGET}"'
    desired = demo.target()["status"]["nodes"]["desired"]
    assert values(f"max(metricat_target_nodes_desired{{{mine}}})") == [desired]
    assert values(f'max(metricat_target_condition{{type="Ready",status="True",{mine}}})') == [1]
