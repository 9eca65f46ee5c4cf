"""The real Alertmanager, with the rules as docs/alertmanager.md gives them, inhibits the right alerts and no others."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from metricat_tools.binaries import ensure
from metricat_tools.generate.alertmanager import snippet
from metricat_tools.images.stack import ensure_stack
from support.harness import eventually, free_port
from support.paths import DOCS
from support.real_alertmanager import WITH_TEMPLATES

PAGE = DOCS / "alertmanager.md"
CONFIGURATION = {"route": {"receiver": "null"}, "receivers": [{"name": "null"}]}
Labels = dict[str, str]


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a configuration with the rules exactly as the page has them."""
    [text] = re.findall(r"```yaml\n(inhibit_rules:.*?)```", PAGE.read_text(), re.DOTALL)
    assert text == snippet()
    path = tmp_path_factory.mktemp("alertmanager") / "alertmanager.yaml"
    path.write_text(yaml.safe_dump(CONFIGURATION) + text)
    return path


@pytest.fixture(scope="module")
def url(configuration: Path) -> Iterator[str]:
    """Run an Alertmanager on loopback, only for this test."""
    ensure_stack("alertmanager")  # which unpacks the templates
    port, program = free_port(), ensure("prometheus-alertmanager")["prometheus-alertmanager"]
    command = [
        *("unshare", "--map-root-user", "--mount", "sh", "-c", WITH_TEMPLATES, str(program)),
        *(f"--config.file={configuration}", f"--storage.path={configuration.parent}"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=error"),
    ]
    with subprocess.Popen(command) as process:
        try:
            address = f"http://127.0.0.1:{port}/api/v2/alerts"
            eventually(lambda: asked(address) == [])
            yield address
        finally:
            process.kill()


def asked(url: str, alerts: list[dict[str, Any]] | None = None) -> Any:
    body = None if alerts is None else json.dumps(alerts).encode()
    headers = {"Content-Type": "application/json"}
    with suppress(OSError), urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5) as answer:
        return json.loads(answer.read() or "null")
    return None


def suppressed(url: str, *alerts: Labels) -> list[bool]:
    """Return which of these alerts are inhibited while all of them fire; alerts of an earlier call have ended."""
    now = datetime.now(UTC)
    before = [{"labels": one["labels"], "endsAt": now.isoformat()} for one in asked(url)]
    firing = [{"labels": one, "endsAt": (now + timedelta(minutes=5)).isoformat()} for one in alerts]
    asked(url, before)
    eventually(lambda: asked(url) == [])
    asked(url, firing)
    eventually(lambda: len(asked(url)) == len(alerts))
    states = {json.dumps(one["labels"], sort_keys=True): one["status"]["state"] for one in asked(url)}
    return [states[json.dumps(one, sort_keys=True)] == "suppressed" for one in alerts]


def alert(name: str, severity: str, resource: str, node: str = "n1", **labels: str) -> Labels:
    found = {"alertname": name, "severity": severity, "resource": resource, "namespace": "monitoring"}
    found |= {"service": "metricat-nodes", "pool": "default"} | ({"node": node} if node else {})
    return found | labels


DISK_FULL = alert("NodeFilesystemUsageHigh", "critical", "filesystem /var")
AGENT_DOWN = alert("NodeAgentDown", "warning", "agent")
MANY_DOWN = alert("NodeAgentDown", "critical", "agent", node="")


@pytest.mark.parametrize(
    ("source", "other", "inhibited"),
    [
        (DISK_FULL, DISK_FULL | {"severity": "warning"}, True),
        (DISK_FULL, DISK_FULL | {"severity": "info"}, True),
        (DISK_FULL, DISK_FULL | {"severity": "warning", "node": "n2"}, False),
        (DISK_FULL, DISK_FULL | {"severity": "warning", "resource": "filesystem /home"}, False),
        (DISK_FULL, DISK_FULL | {"severity": "warning", "service": "metricat-others"}, False),
        (DISK_FULL, DISK_FULL | {"severity": "warning", "namespace": "elsewhere"}, False),
        (DISK_FULL, DISK_FULL | {"severity": "warning", "cluster": "other"}, False),
        (DISK_FULL, alert("NodeFilesystemReadOnly", "warning", "filesystem mode /var"), False),
        (DISK_FULL, {"alertname": "NotOurs", "severity": "warning", "node": "n1"}, False),
        (
            alert("NodeRAIDDegraded", "critical", "raid md0"),
            alert("NodeRAIDDiskFailed", "warning", "raid md0"),
            True,
        ),
        (AGENT_DOWN, alert("NodeCollectorFailing", "warning", "collector disk"), True),
        (AGENT_DOWN, alert("NodeCollectorFailing", "warning", "collector disk", node="n2"), False),
        (AGENT_DOWN, DISK_FULL, False),
        (MANY_DOWN, AGENT_DOWN, False),
        (MANY_DOWN, alert("NodeLoadHigh", "warning", "load"), False),
        (alert("NodeCordoned", "info", "cordoned"), DISK_FULL, True),
        (alert("NodeNew", "info", "new"), alert("NodeCPUUsageHigh", "critical", "cpu"), True),
        (alert("NodeCordoned", "info", "cordoned"), DISK_FULL | {"node": "n2"}, False),
        (alert("NodeCordoned", "info", "cordoned"), MANY_DOWN, False),
        (alert("NodeCordoned", "info", "cordoned"), alert("NodeNew", "info", "new"), False),
        (
            {"alertname": "NotOurs", "severity": "critical"},
            {"alertname": "NotOursEither", "severity": "warning"},
            False,
        ),
        (
            {"alertname": "NotOurs", "severity": "critical", "resource": "cpu", "node": "n1"},
            alert("NodeCPUUsageHigh", "warning", "cpu"),
            False,
        ),
    ],
)
def test_expected_alert_is_inhibited(url: str, source: Labels, other: Labels, inhibited: bool) -> None:  # noqa: FBT001 (a table)
    assert suppressed(url, source, other) == [False, inhibited]


def test_amtool_accepts_the_configuration(configuration: Path) -> None:
    amtool = ensure("amtool")["amtool"]
    done = subprocess.run([amtool, "check-config", configuration], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(yaml.safe_load(configuration.read_text())['inhibit_rules'])} inhibit rules" in done.stdout
