"""A real Prometheus, which scrapes agents and runs our rules, returns each of the 47 measures by name."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import yaml

from metricat_rules.anomaly import BASELINE
from metricat_rules.recording import MEASURES
from metricat_tools.binaries import ensure
from support.paths import RECORDED_HOST
from support.promtool import rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDED = RECORDED_HOST
SECONDS = 90


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def ask(port: int, path: str) -> Any:
    """Return the data of a response; nothing while Prometheus is not ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=5) as answer:
            return json.load(answer)["data"]
    except OSError:
        return None


def found(port: int, query: str) -> int:
    data = ask(port, f"query?query={quote(query)}")
    return len(data["result"]) if data else 0


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[int]:
    """This host, and the recorded one, which has swap.

    A virtual machine has no link with a speed, and the agent does not use a copy of /sys. So a text file has the speed.
    """
    here, recorded, own = free_port(), free_port(), free_port()
    labels = {"namespace": "monitoring", "service": "metricat-nodes", "pool": "default"}
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {
                "job_name": "metricat",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{port}"], "labels": {**labels, "node": node}}
                    for node, port in (("here", here), ("recorded", recorded))
                ],
            }
        ],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules(10)))
    (tmp_path / "speed.prom").write_text('node_network_speed_bytes{device="eth0"} 1.25e9\n')
    agent = [sys.executable, "-m", "metricat_agent"]
    paths = [f"--path.{name}={RECORDED / folder}" for name, folder in (("procfs", "proc"), ("sysfs", "sys"))]
    commands = [
        [*agent, f"--web.listen-address=127.0.0.1:{here}"],
        [*agent, f"--web.listen-address=127.0.0.1:{recorded}", *paths, f"--collector.textfile.directory={tmp_path}"],
        [
            *(str(ensure("prometheus")["prometheus"]), "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
            f"--web.listen-address=127.0.0.1:{own}",
        ],
    ]
    with ExitStack() as stack:
        for command in commands:
            program = stack.enter_context(subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL))
            stack.callback(program.terminate)
        yield own


def write_to_disk(folder: Path) -> None:
    """Read and write, so that each disk has at least one operation."""
    with (folder / "written").open("wb") as file:
        file.write(b"x" * 4096)
        file.flush()
        os.fsync(file.fileno())


def test_every_measure_exists_and_every_recording_rule_works(prometheus: int, tmp_path: Path) -> None:
    deadline = time.monotonic() + SECONDS
    missing = set(MEASURES)
    while missing and time.monotonic() < deadline:
        write_to_disk(tmp_path)
        missing = {measure for measure in missing if not found(prometheus, MEASURES[measure])}
        time.sleep(0.5)
    assert missing == set()
    groups = ask(prometheus, "rules")["groups"]
    rare = {recording.name for recording in BASELINE}  # evaluated every 5 minutes
    wrong = [rule["name"] for group in groups for rule in group["rules"] if rule["health"] != "ok"]
    assert [name for name in wrong if name not in rare] == []
    assert sum(len(group["rules"]) for group in groups) == sum(len(group["rules"]) for group in rules()["groups"])
