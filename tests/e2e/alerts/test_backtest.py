"""`metricat backtest` on a real Prometheus whose history is written beforehand: what fired, where, for how long."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from metricat_tools.binaries import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEP = 30
HOUR = 3600
HISTORY = 26 * HOUR
TARGET = """
apiVersion: metricat.dev/v1alpha1
kind: MonitoringTarget
metadata: {name: nodes, namespace: monitoring}
spec:
  alerts:
    rules: {NodeCPUUsageHigh: {warning: {threshold: 80, for: 5m}, critical: {threshold: %d, for: 1m}}}
    extraGroups:
      - {name: mine, rules: [{alert: Mine, expr: 'metricat:node_cpu_usage:percent{node="n2"} > 80', for: 1m}]}
"""


def usage(node: str, age: float) -> float:
    """n1: 97 % for 20 minutes five hours ago, and 100 % for 30 s two hours ago. n2: 85 % for 10 minutes."""
    if node == "n1":
        return 97 if 5 * HOUR >= age > 5 * HOUR - 1200 else 100 if 2 * HOUR >= age > 2 * HOUR - 30 else 20
    return 85 if 3 * HOUR >= age > 3 * HOUR - 600 else 10


@pytest.fixture(scope="module")
def now() -> int:
    return int(time.time()) // STEP * STEP


@pytest.fixture(scope="module")
def prometheus(now: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    lines = ["# TYPE metricat:node_cpu_usage:percent gauge"]
    for node in ("n1", "n2"):
        labels = f'namespace="monitoring",service="metricat-nodes",pool="default",node="{node}"'
        lines += [
            f"metricat:node_cpu_usage:percent{{{labels}}} {usage(node, age)} {now - age}"
            for age in range(HISTORY, -1, -STEP)
        ]
    (folder / "history").write_text("\n".join([*lines, "# EOF\n"]))
    (folder / "config.yaml").write_text("{}")
    programs = ensure("prometheus", "promtool")
    made: list[str] = ["tsdb", "create-blocks-from", "openmetrics", str(folder / "history"), str(folder / "data")]
    subprocess.run([str(programs["promtool"]), *made], check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [str(programs["prometheus"]), f"--config.file={folder}/config.yaml", f"--storage.tsdb.path={folder}/data"]
    with subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL) as running:
        try:
            _await(f"http://127.0.0.1:{port}/-/ready")
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()


def _await(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def backtest(folder: Path, prometheus: str, *arguments: str, threshold: int = 95) -> subprocess.CompletedProcess[str]:
    file = folder / "target.yaml"
    file.write_text(TARGET % threshold)
    command = [
        sys.executable,
        "-m",
        "metricat_cli",
        "backtest",
        "-f",
        str(file),
        "--prometheus",
        prometheus,
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_backtest_reports_firings(prometheus: str, now: int, tmp_path: Path) -> None:
    done = backtest(tmp_path, prometheus, "--since", "1d", "-o", "json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    firings = {
        (one["alert"], one["severity"], one["labels"].get("node", "")): (one["start"] - now, one["end"] - one["start"])
        for one in found
    }
    assert set(firings) == {
        ("NodeCPUUsageHigh", "critical", "n1"),
        ("NodeCPUUsageHigh", "warning", "n1"),
        ("NodeCPUUsageHigh", "warning", "n2"),
        ("Mine", "", "n2"),
        ("MetricatWatchdog", "info", ""),
    }
    assert len(found) == len(firings)
    # 20 minutes above the threshold: it fires after one minute, and keeps firing for one minute after the end.
    assert firings["NodeCPUUsageHigh", "critical", "n1"] == (-5 * HOUR + 60, 1200)
    assert firings["NodeCPUUsageHigh", "warning", "n1"] == (-5 * HOUR + 300, 1200)
    assert firings["NodeCPUUsageHigh", "warning", "n2"] == (-3 * HOUR + 300, 600)
    assert firings["Mine", "", "n2"] == (-3 * HOUR + 60, 540)


def test_backtest_uses_the_threshold_of_the_file(prometheus: str, tmp_path: Path) -> None:
    done = backtest(tmp_path, prometheus, "--since", "7d", threshold=98)
    assert done.returncode == 0, done.stderr
    sys.stdout.write(done.stdout)
    assert "NodeCPUUsageHigh  warning   2 " in done.stdout
    assert "critical" not in done.stdout
    assert "History starts at" in done.stdout


def test_backtest_of_an_unknown_target_fails(prometheus: str, tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text("{kind: MonitoringTarget, metadata: {name: other}}")
    command = [sys.executable, "-m", "metricat_cli", "backtest", "-f", str(file), "--prometheus", prometheus]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "has no history of MonitoringTarget default/other" in done.stderr


def test_backtest_of_another_server_fails(prometheus: str, tmp_path: Path) -> None:
    done = backtest(tmp_path, f"{prometheus}/nowhere")
    assert done.returncode == 1
    assert "returned 404" in done.stderr
