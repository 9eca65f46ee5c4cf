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
    lines = text(chosen, 1795824000.5 + 3600).splitlines()
    assert lines[0].split() == ["SEVERITY", "ALERT", "NODE", "STATE", "SINCE"]
    assert lines[1].split() == ["critical", "Crit", "n2", "firing", "1h"]
    assert lines[2].strip() == "Crit. Top processes: stress (pid 7) 1.00 CPUs."


def test_no_alert_is_reported_in_one_sentence() -> None:
    assert text([], 0) == "No alert fires."
