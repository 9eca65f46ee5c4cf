"""The unit in agent/packaging under systemd."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from support.certificates import self_signed
from support.paths import ROOT
from support.systemd import Node, booted, eventually, exposure, needs_systemd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AGENT = ROOT / "agent"
UNIT = AGENT / "packaging" / "metricat-agent.service"
NAME = "metricat-agent"
MOST_EXPOSURE = 2.2
"""The agent reads /proc of all processes, and filesystems everywhere. The difference to the hub's unit is that."""

pytestmark = needs_systemd


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    units, cgroup = tmp_path_factory.mktemp("units"), tmp_path_factory.mktemp("cgroup")
    with booted(units, cgroup, [UNIT], [AGENT / "src"]) as node:
        yield node


def configure(node: Node, *lines: str) -> None:
    node.configure(NAME, "StandardError=append:/run/agent.log", *lines)


def page(node: Node, scheme: str = "http") -> str:
    return node.fetch(f"{scheme}://localhost:9100/metrics")


def families(text: str) -> set[str]:
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


def test_agent_without_privileges_exposes_the_same_families_as_root(node: Node) -> None:
    configure(node)
    assert eventually(lambda: bool(page(node))), node.run("cat", "/run/agent.log")
    found = page(node)
    assert re.findall(r'^node_scrape_collector_success\{collector="(\w+)"\} 0', found, re.MULTILINE) == []
    as_root = node.run("/usr/local/bin/metricat-agent", "--once")
    assert len(families(as_root)) > 200
    assert families(as_root) - families(found) == set()
    lines = node.run("cat", f"/proc/{node.unit_property(NAME, 'MainPID')}/status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    assert "0" not in status["Uid"].split()
    assert (status["CapEff"], status["NoNewPrivs"], status["Seccomp"]) == ("0" * 16, "1", "2")


def test_agent_restarts_after_a_kill_and_stops_on_request(node: Node) -> None:
    configure(node)
    assert eventually(lambda: bool(page(node)))
    node.run("kill", "-9", node.unit_property(NAME, "MainPID"))
    assert eventually(lambda: node.unit_property(NAME, "NRestarts") == "1" and bool(page(node)))
    started = time.monotonic()
    node.run("systemctl", "stop", NAME)
    assert time.monotonic() - started < 5
    assert (node.unit_property(NAME, "Result"), node.unit_property(NAME, "ExecMainStatus")) == ("success", "0")


def test_agent_with_a_bad_setting_is_not_restarted(node: Node) -> None:
    configure(node, "Environment=METRICAT_LOG_LEVEL=loud")
    assert eventually(lambda: node.unit_property(NAME, "ActiveState") == "failed")
    time.sleep(2)
    assert (node.unit_property(NAME, "ExecMainStatus"), node.unit_property(NAME, "NRestarts")) == ("2", "0")
    assert "METRICAT_LOG_LEVEL=loud: unknown value" in node.run("cat", "/run/agent.log")


def test_tls_works_with_credentials_that_only_root_can_read(node: Node, tmp_path: Path) -> None:
    self_signed(tmp_path, "tls")
    suggested = [
        line[1:] for line in UNIT.read_text().splitlines() if re.match(r"#(LoadCredential|Environment)=", line)
    ]
    assert len(suggested) == 3
    configure(node, *(line.replace("/etc/metricat", str(tmp_path)) for line in suggested))
    assert eventually(lambda: "node_load1" in page(node, "https")), node.run("cat", "/run/agent.log")
    assert page(node) == ""


def test_systemd_rates_the_exposure_of_the_unit_as_ok() -> None:
    assert exposure(UNIT) <= MOST_EXPOSURE
