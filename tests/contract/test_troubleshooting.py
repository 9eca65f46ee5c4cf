"""The page for people knows every reason and every condition that a status may hold."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from support.paths import ROOT

OPERATOR = ROOT / "operator" / "src" / "metricat_operator"
SPEAKERS = ("status", "verification", "cluster/prometheus_client.py", "cluster/prometheus_poller.py")
NO_REASONS = {
    *("True", "False", "Unknown", "Prometheus", "PrometheusAgent", "ThanosRuler", "Alertmanager", "NetworkPolicy"),
    *("ServiceMonitor", "PrometheusRule", "AlertmanagerConfig", "DaemonSet", "MonitoringTarget", "No"),
    *("In", "NotIn", "Exists", "DoesNotExist", "NoSchedule", "NoExecute", "PreferNoSchedule"),
}


def words(path: Path) -> Iterator[str]:
    """The strings in the code that look like a reason."""
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.fullmatch(r"[A-Z][A-Za-z]*[a-z]", node.value)
        ):
            yield node.value


def test_every_reason_has_its_line() -> None:
    files = [
        file for name in SPEAKERS for file in ([OPERATOR / name], (OPERATOR / name).rglob("*.py"))[name[-3:] != ".py"]
    ]
    reasons = {word for file in files for word in words(file)} - NO_REASONS
    assert {"LabelMissing", "RuleFails", "Timeout", "NoPods", "TaintNotTolerated", "Monitored"} <= reasons
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    assert sorted(reason for reason in reasons if f"`{reason}`" not in page) == []
