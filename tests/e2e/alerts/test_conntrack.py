"""A connection table that really fills up. Agent, Prometheus and its alert run in their own network."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from metricat_tools.binaries import ensure
from support.harness import eventually
from support.promtool import rules

pytestmark = pytest.mark.e2e

AGENT, PROMETHEUS = "127.0.0.1:9100", "127.0.0.1:9090"
SETTLE_SECONDS = 120
THRESHOLD = 0.2
"""In percent. All networks of the machine share one table, which is large."""
SETTINGS = {"NodeConntrackHigh": {"warning": {"threshold": THRESHOLD, "for": "0s"}, "critical": {"enabled": False}}}
CONFIG: dict[str, Any] = {
    "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
    "rule_files": ["rules.yaml"],
    "scrape_configs": [
        {
            "job_name": "metricat",
            "static_configs": [
                {
                    "targets": [AGENT],
                    "labels": {
                        "namespace": "monitoring",
                        "service": "metricat-nodes",
                        "pool": "default",
                        "node": "n1",
                    },
                }
            ],
        }
    ],
}
NETWORK = """
ip link set lo up
nft add table ip followed
nft 'add chain ip followed out { type filter hook output priority 0; }'
nft add rule ip followed out ct state new counter
echo 2 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout
exec sleep infinity
"""
FILL = """
import socket
from itertools import cycle
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    for port in cycle(range(20_000, 24_000)):
        try:
            sender.sendto(b"", ("127.0.0.1", port))
        except ConnectionRefusedError:
            pass
"""
LOOK = f"""
import urllib.request
print(urllib.request.urlopen("http://{PROMETHEUS}/api/v1/alerts", timeout=5).read().decode())
"""


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[list[str]]:
    """The words before a command that run it in this network."""
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(CONFIG))
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules(settings=SETTINGS)))
    prometheus = str(ensure("prometheus")["prometheus"])
    with ExitStack() as stack:

        def start(*command: str) -> subprocess.Popen[bytes]:
            program = stack.enter_context(subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL))
            stack.callback(program.kill)
            return program

        holder = start("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", NETWORK)
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children")
        eventually(children.read_text)
        there = ["nsenter", f"--target={children.read_text().strip()}", "--net"]
        # The agent reads the connections of process 1 in its /proc.
        start(*there, "--pid", "--mount", sys.executable, "-m", "metricat_agent", f"--web.listen-address={AGENT}")
        files = ("--config.file=prometheus.yml", "--storage.tsdb.path=data")
        start(*there, prometheus, *files, f"--web.listen-address={PROMETHEUS}")
        yield there


def firing(inside: list[str]) -> list[dict[str, Any]]:
    """Return the alert as Prometheus reports it; an empty list while Prometheus does not respond."""
    done = subprocess.run([*inside, sys.executable, "-c", LOOK], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["data"]["alerts"] if done.returncode == 0 else []
    return [one for one in found if one["labels"]["alertname"] == "NodeConntrackHigh" and one["state"] == "firing"]


def test_conntrack_alert_fires_until_the_table_is_empty(inside: list[str]) -> None:
    with subprocess.Popen([*inside, sys.executable, "-c", FILL]) as filler:
        try:
            eventually(lambda: firing(inside), seconds=SETTLE_SECONDS)
            [alert] = firing(inside)
        finally:
            filler.kill()
    assert float(alert["value"]) > THRESHOLD
    assert "The connection tracking table of n1 (pool default) is " in alert["annotations"]["description"]
    eventually(lambda: not firing(inside), seconds=SETTLE_SECONDS)
