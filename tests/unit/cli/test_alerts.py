"""The list of firing alerts."""

from metricat_cli.commands.alerts import _of_targets, text
from metricat_cli.targets import ClusterTarget

TARGET = ClusterTarget({"metadata": {"name": "nodes", "namespace": "monitoring"}})


def alert(name: str, severity: str, state: str = "firing", **labels: str) -> dict[str, object]:
    return {
        "labels": {
            "alertname": name,
            "severity": severity,
            "namespace": "monitoring",
            "service": "metricat-nodes",
            **labels,
        },
        "annotations": {"description": f"{name}. Top processes: stress (pid 7) 1.00 CPUs."},
        "state": state,
        "activeAt": "2026-11-28T00:00:00.123456789Z",
    }


def test_alerts_of_the_targets_are_listed_by_severity() -> None:
    found = [
        alert("Info", "info"),
        alert("Warn", "warning", node="n1"),
        alert("Crit", "critical", node="n2"),
        alert("Later", "critical", "pending"),
        alert("Other", "critical", namespace="team"),
        alert("MetricatWatchdog", "info"),
    ]
    chosen = _of_targets(found, [TARGET], pending=False)
    assert [one["labels"]["alertname"] for one in chosen] == ["Crit", "Warn", "Info"]
    assert len(_of_targets(found, [TARGET], pending=True)) == 4
    lines = text(chosen, 1795824000.5 + 3600, {}).splitlines()
    assert lines[0].split() == ["SEVERITY", "ALERT", "NODE", "STATE", "SINCE"]
    assert lines[1].split() == ["critical", "Crit", "n2", "firing", "1h"]
    assert lines[2].strip() == "Crit. Top processes: stress (pid 7) 1.00 CPUs."


def test_no_alert_is_reported_in_one_sentence() -> None:
    assert text([], 0, {}) == "No alert fires."


def test_pods_have_names_instead_of_their_uids() -> None:
    """Without kube-state-metrics, Prometheus knows only the UIDs."""
    known, static, gone = "0f8a2c1e-77aa-4c0e-9b1d-0123456789ab", "0123456789abcdef" * 2, "f" * 32
    one = alert("Warn", "warning")
    one["annotations"] = {"description": f"sh (pid 7, pod {known}); etcd (pid 8, pod {static}); x (pid 9, pod {gone})"}
    names = {known: "shop/busy", static: "kube-system/etcd-n1"}
    description = text([one], 1795824000.5, names).splitlines()[2].strip()
    assert description == f"sh (pid 7, pod shop/busy); etcd (pid 8, pod kube-system/etcd-n1); x (pid 9, pod {gone})"
