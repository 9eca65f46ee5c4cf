"""A Prometheus that has the permission scrapes the operator's own metrics."""

import pytest

from metricat_tools.demo.demo_cluster import TARGET, DemoCluster
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.wait import until

pytestmark = pytest.mark.e2e


def test_prometheus_scrapes_both_replicas_and_one_leads(demo: DemoCluster) -> None:
    def values(query: str) -> list[float]:
        return [sample.value for sample in demo.prometheus.query(query)]

    def targets() -> str:
        own = [one for one in demo.prometheus.targets() if one.labels.get("service") == "metricat-metrics"]
        return "; ".join(f"{one.labels['pod']} is {one.health} {one.error}" for one in own) or "no targets"

    up = 'up{service="metricat-metrics"}'
    # The kubelet brings each new configuration to Prometheus within a minute or two.
    until("both replicas to be scraped", lambda: values(up) == [1, 1], seconds=360, why=targets)
    until("one replica to lead", lambda: sorted(values("metricat_leader")) == [0, 1])
    mine = f'target_namespace="{NAMESPACE}",target="{TARGET}"'
    desired = demo.target()["status"]["nodes"]["desired"]
    assert values(f"max(metricat_target_nodes_desired{{{mine}}})") == [desired]
    assert values(f'max(metricat_target_condition{{type="Ready",status="True",{mine}}})') == [1]
