"""The units in hub/packaging under systemd: start, query, crash, stop, upgrade, TLS, and what the journal contains."""

from __future__ import annotations

import json
import re
import shutil
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from support.certificates import self_signed
from support.paths import ROOT
from support.systemd import Node, booted, eventually, exposure, needs_systemd

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGING = ROOT / "hub" / "packaging"
UNITS = {"metricat": 2.2, "metricat-hub": 1.2}
"""The most exposure of each unit. `metricat` runs the agent too, which reads /proc of all processes."""
AGENT_UNIT = ROOT / "agent" / "packaging" / "metricat-agent.service"
KEY_FILE = "/var/lib/metricat/first-key"
CONFIG = """
collect.interval: 1s
scrape_configs: [{job_name: agent, static_configs: [{targets: ["localhost:9100"]}]}]
"""

pytestmark = [needs_systemd, pytest.mark.slow]


@dataclass
class Machine:
    """A systemd, the source of its hub, and the name of the unit."""

    node: Node
    source: Path
    unit: str

    def configure(self, *lines: str) -> None:
        self.node.configure(self.unit, *lines)

    def property(self, name: str) -> str:
        return self.node.unit_property(self.unit, name)

    def key(self) -> str:
        return self.node.run("cat", KEY_FILE, check=False).strip()

    def get(self, path: str, scheme: str = "http", port: int = 8428) -> Any:
        body = self.node.fetch(f"{scheme}://localhost:{port}{path}", self.key())
        return json.loads(body) if body else {}

    def values(self, query: str) -> list[float]:
        found = self.get(f"/api/v1/query?query={quote(query)}").get("data", {}).get("result", [])
        return [float(one["value"][1]) for one in found]

    def log(self) -> str:
        return self.node.run("journalctl", "--unit", self.unit, "--no-pager", check=False)


@pytest.fixture(scope="module", params=UNITS)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    units, cgroup = tmp_path_factory.mktemp("units"), tmp_path_factory.mktemp("cgroup")
    source = tmp_path_factory.mktemp("hub") / "src"
    shutil.copytree(ROOT / "hub" / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    files = [PACKAGING / f"{request.param}.service", *([AGENT_UNIT] if request.param == "metricat-hub" else [])]
    modules = [
        source,
        ROOT / "agent" / "src",
        ROOT / "cli" / "src",
        ROOT / "rules" / "src",
        Path(sysconfig.get_path("purelib")),
    ]
    with booted(units, cgroup, files, modules) as node:
        config = units / "hub.yaml"
        config.write_text(CONFIG if request.param == "metricat-hub" else "collect.interval: 1s\n")
        if request.param == "metricat-hub":
            node.run("systemctl", "start", "metricat-agent")
        found = Machine(node, source, request.param)
        found.configure(*settings(found))
        assert eventually(lambda: bool(found.values("node_load1")), 60), found.log()
        yield found


def settings(machine: Machine) -> list[str]:
    """Return the lines that give the settings file as a credential, as an administrator may."""
    return [
        f"LoadCredential=hub.yaml:{machine.node.units}/hub.yaml",
        "Environment=METRICAT_HUB_CONFIG_FILE=%d/hub.yaml",
    ]


def test_hub_answers_without_privileges(machine: Machine) -> None:
    status = machine.node.run("cat", f"/proc/{machine.property('MainPID')}/status")
    found = dict(line.split(":\t", 1) for line in status.splitlines())
    assert "0" not in found["Uid"].split()
    assert (found["CapEff"], found["NoNewPrivs"], found["Seccomp"]) == ("0" * 16, "1", "2")
    assert machine.values("up") == [1.0]
    assert machine.values("count(node_filesystem_size_bytes) > bool 0") == [1.0]


def test_first_key_is_in_its_file_and_nowhere_in_the_journal(machine: Machine) -> None:
    assert re.fullmatch(r"metricat_[0-9a-f]{12}_[\w-]{43}", machine.key())
    assert machine.node.run("stat", "--format=%a %U", KEY_FILE).split()[0] == "600"
    journal = machine.node.journal()
    assert f"API key: in {KEY_FILE}" in journal, "the journal has what the hub prints"
    assert not re.search(r"metricat_[0-9a-f]{12}_", journal)


def test_hub_restarts_after_a_kill_with_its_samples_and_keys(machine: Machine) -> None:
    before = time.time()
    key, restarts = machine.key(), int(machine.property("NRestarts"))
    machine.node.run("kill", "-9", machine.property("MainPID"))
    assert eventually(lambda: int(machine.property("NRestarts")) == restarts + 1)
    assert eventually(lambda: bool(machine.values("node_load1"))), machine.log()
    assert machine.values(f"node_load1 @ {before}")
    assert machine.key() == key


def test_hub_stops_cleanly_with_all_processes(machine: Machine) -> None:
    machine.node.run("systemctl", "stop", machine.unit)
    assert (machine.property("Result"), machine.property("ExecMainStatus")) == ("success", "0")
    assert machine.property("ControlGroup") == ""
    machine.node.run("systemctl", "start", machine.unit)
    assert eventually(lambda: bool(machine.values("up"))), machine.log()


def test_upgrade_keeps_samples_and_keys(machine: Machine) -> None:
    before = time.time()
    assert machine.values("node_load1")
    (machine.source / "metricat_hub" / "__init__.py").write_text('__version__ = "99.0.0"\n')
    machine.node.run("systemctl", "restart", machine.unit)
    assert eventually(lambda: bool(machine.values("up"))), machine.log()
    assert machine.get("/api/v1/status/buildinfo")["data"]["revision"] == "metricat-99.0.0"
    assert machine.values(f"node_load1 @ {before}")


def test_tls_works_with_credentials_that_only_root_can_read(machine: Machine, tmp_path: Path) -> None:
    self_signed(tmp_path, "tls")
    (tmp_path / "web.yaml").write_text("tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n")
    unit = (PACKAGING / f"{machine.unit}.service").read_text()
    suggested = [line[1:] for line in unit.splitlines() if re.match(r"#(LoadCredential|Environment)=.*(tls|web)", line)]
    assert len(suggested) == 4
    machine.configure(*settings(machine), *(line.replace("/etc/metricat", str(tmp_path)) for line in suggested))
    assert eventually(lambda: machine.get("/api/status", "https") != {}), machine.log()
    assert machine.get("/api/status") == {}
    machine.configure(*settings(machine))
    assert eventually(lambda: bool(machine.values("up"))), machine.log()


def test_hub_with_a_wrong_setting_is_not_restarted(machine: Machine) -> None:
    machine.configure(*settings(machine), "Environment=METRICAT_HUB_QUERY_TIMEOUT=soon")
    assert eventually(lambda: machine.property("ActiveState") == "failed")
    time.sleep(2)
    assert (machine.property("ExecMainStatus"), machine.property("NRestarts")) == ("2", "0")
    machine.configure(*settings(machine))
    assert eventually(lambda: bool(machine.values("up"))), machine.log()


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_rates_the_exposure_of_the_unit_as_ok(unit: str) -> None:
    assert exposure(PACKAGING / f"{unit}.service") <= UNITS[unit]
