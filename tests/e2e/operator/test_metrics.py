"""A Prometheus that has the permission scrapes the operator's own metrics."""

import time

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

    started = time.time()

    def current(series: str) -> list[float]:
        """Return the values of the replicas that run now. Earlier tests ended others."""
        return sorted(sample.value for sample in demo.prometheus.scraped_since(started, series))

    until("both replicas to be scraped", lambda: current('up{service="metricat-metrics"}') == [1, 1], why=targets)
    until("one replica to lead", lambda: current("metricat_leader") == [0, 1])
    mine = f'target_namespace="{NAMESPACE}",target="{TARGET}"'
    desired = demo.target()["status"]["nodes"]["desired"]
    assert values(f"max(metricat_target_nodes_desired{{{mine}}})") == [desired]
    assert values(f'max(metricat_target_condition{{type="Ready",status="True",{mine}}})') == [1]
