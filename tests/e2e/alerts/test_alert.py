"""The whole chain of an alert, from a busy CPU to Alertmanager, set through the MonitoringTarget."""

import pytest

from metricat_tools.demo.load import cpu_load
from metricat_tools.demo.scene import ALERT, Scene
from metricat_tools.stack.wait import until

pytestmark = pytest.mark.e2e


def test_cpu_alert_is_pending_fires_and_resolves(scene: Scene) -> None:
    scene.wait_calm()
    with cpu_load(scene.kubectl, scene.images["agent"], "n2"):
        pending = until("pending in Prometheus", lambda: scene.warned("n2", "pending"), seconds=120)
        assert {alert.labels["resource"] for alert in pending} == {"cpu"}
        until("firing in Prometheus", lambda: scene.warned("n2", "firing"))
        active = until("active in Alertmanager", lambda: scene.notified("n2"))
        assert {alert.name for alert in active} == {ALERT}
        assert {alert.labels["node"] for alert in active} <= {"n1", "n2"}
        assert all(
            "threshold 80 %" in a.annotations["description"] for a in active if a.labels["severity"] == "warning"
        )
    until("resolved in Alertmanager", lambda: not scene.notified(), seconds=180)


def test_watchdog_always_fires(scene: Scene) -> None:
    assert until("the watchdog", lambda: scene.alertmanager.alerts("MetricatWatchdog"))
