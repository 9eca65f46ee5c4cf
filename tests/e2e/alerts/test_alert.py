"""The whole chain of an alert, from a busy CPU to Alertmanager, set through the MonitoringTarget."""

import pytest

from metricat_tools.demo.demo_cluster import ALERT, DemoCluster
from metricat_tools.demo.load import cpu_load
from metricat_tools.stack.wait import until

pytestmark = pytest.mark.e2e


def test_cpu_alert_is_pending_fires_and_resolves(demo: DemoCluster) -> None:
    demo.wait_for_idle_cpus()
    with cpu_load(demo.kubectl, demo.images["agent"], "n2"):
        pending = until("pending in Prometheus", lambda: demo.warned("n2", "pending"), seconds=120)
        assert {alert.labels["resource"] for alert in pending} == {"cpu"}
        until("firing in Prometheus", lambda: demo.warned("n2", "firing"))
        active = until("active in Alertmanager", lambda: demo.notified("n2"))
        assert {alert.name for alert in active} == {ALERT}
        assert {alert.labels["node"] for alert in active} <= {"n1", "n2"}
        assert all(
            "threshold 80 %" in a.annotations["description"] for a in active if a.labels["severity"] == "warning"
        )
    until("resolved in Alertmanager", lambda: not demo.notified(), seconds=180)


def test_watchdog_always_fires(demo: DemoCluster) -> None:
    assert until("the watchdog", lambda: demo.alertmanager.alerts("MetricatWatchdog"))
