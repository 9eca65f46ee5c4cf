"""The unit in agent/packaging under systemd, which runs in its own namespaces without other units."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metricat_tools.cluster.cgroups import Hierarchy, hierarchies, remove
from support.certificates import self_signed
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
AGENT = ROOT / "agent"
UNIT = AGENT / "packaging" / "metricat-agent.service"
GROUP = f"metricat-unit-{os.getpid()}"
TARGETS = ("sysinit", "basic", "multi-user", "network", "shutdown", "umount", "final")
"""Empty targets replace those of the host, which would set up the host."""
FETCH = """
import ssl, sys, urllib.request as request
context = ssl._create_unverified_context() if sys.argv[1].startswith("https") else None
print(request.urlopen(sys.argv[1], timeout=10, context=context).read().decode())
"""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0
    or not Path("/lib/systemd/systemd").exists()
    or not all(map(shutil.which, ("unshare", "nsenter", "ip", "systemctl"))),
    reason="needs root, systemd (installed, not running), util-linux and iproute2",
)


@dataclass
class Node:
    """A running systemd: its process and the directory of its units."""

    pid: int
    units: Path

    def run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(
            ["nsenter", f"--target={self.pid}", "--all", *command],
            check=check,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.stdout

    def unit_property(self, name: str) -> str:
        return self.run("systemctl", "show", "metricat-agent", f"--property={name}", "--value").strip()

    def configure(self, *lines: str) -> None:
        """Restart the agent with these lines in addition to the unit's."""
        settings = self.units / "metricat-agent.service.d" / "test.conf"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text("\n".join(("[Service]", "StandardError=append:/run/agent.log", *lines)))
        self.run("systemctl", "daemon-reload")
        self.run("systemctl", "restart", "metricat-agent", check=False)

    def page(self, scheme: str = "http") -> str:
        return self.run(sys.executable, "-c", FETCH, f"{scheme}://localhost:9100/metrics", check=False)


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Wait until a condition is true; return whether it is."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


@contextmanager
def unified(place: Path) -> Iterator[Hierarchy]:
    """Yield the host's cgroup v2 hierarchy; if the host has none, mount one."""
    if (found := next((tree for tree in hierarchies() if tree.unified), None)) is not None:
        yield found
        return
    subprocess.run(["mount", "-t", "cgroup2", "cgroup2", place], check=True)
    try:
        yield Hierarchy(place, unified=True)
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    units = tmp_path_factory.mktemp("units")
    shutil.copy(UNIT, units)
    for name in TARGETS:
        (units / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    with unified(tmp_path_factory.mktemp("cgroup")) as tree:
        group = tree.path / GROUP
        group.mkdir()
        enter = f'echo $$ > {group}/cgroup.procs && exec "$@"'
        apart = ("unshare", "--cgroup", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child")
        boot = ("sh", str(HERE / "systemd.sh"), str(units), sys.base_prefix, str(AGENT / "src"))
        with subprocess.Popen(["sh", "-c", enter, "sh", *apart, *boot], stderr=subprocess.PIPE) as unshare:
            try:
                assert eventually(lambda: bool(_children(unshare.pid))), "unshare starts a process"
                node = Node(_children(unshare.pid)[0], units)
                ready = ("systemctl", "is-system-running")
                assert eventually(lambda: node.run(*ready, check=False).strip() in ("running", "degraded"))
                yield node
            finally:
                unshare.kill()
                unshare.wait(60)
                remove(GROUP, [tree])


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def families(page: str) -> set[str]:
    return set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))


def test_agent_without_privileges_exposes_the_same_families_as_root(node: Node) -> None:
    node.configure()
    assert eventually(lambda: bool(node.page())), node.run("cat", "/run/agent.log")
    page = node.page()
    assert re.findall(r'^node_scrape_collector_success\{collector="(\w+)"\} 0', page, re.MULTILINE) == []
    as_root = node.run("/usr/local/bin/metricat-agent", "--once")
    assert len(families(as_root)) > 200
    assert families(as_root) - families(page) == set()
    status = dict(
        line.split(":\t", 1) for line in node.run("cat", f"/proc/{node.unit_property('MainPID')}/status").splitlines()
    )
    assert "0" not in status["Uid"].split()
    assert (status["CapEff"], status["NoNewPrivs"], status["Seccomp"]) == ("0" * 16, "1", "2")


def test_agent_restarts_after_a_kill_and_stops_on_request(node: Node) -> None:
    node.configure()
    assert eventually(lambda: bool(node.page()))
    node.run("kill", "-9", node.unit_property("MainPID"))
    assert eventually(lambda: node.unit_property("NRestarts") == "1" and bool(node.page()))
    started = time.monotonic()
    node.run("systemctl", "stop", "metricat-agent")
    assert time.monotonic() - started < 5
    assert (node.unit_property("Result"), node.unit_property("ExecMainStatus")) == ("success", "0")


def test_agent_with_a_bad_setting_is_not_restarted(node: Node) -> None:
    node.configure("Environment=METRICAT_LOG_LEVEL=loud")
    assert eventually(lambda: node.unit_property("ActiveState") == "failed")
    time.sleep(2)
    assert (node.unit_property("ExecMainStatus"), node.unit_property("NRestarts")) == ("2", "0")
    assert "METRICAT_LOG_LEVEL=loud: unknown value" in node.run("cat", "/run/agent.log")


def test_tls_works_with_credentials_that_only_root_can_read(node: Node, tmp_path: Path) -> None:
    self_signed(tmp_path, "tls")
    suggested = [
        line[1:] for line in UNIT.read_text().splitlines() if re.match(r"#(LoadCredential|Environment)=", line)
    ]
    assert len(suggested) == 3
    node.configure(*(line.replace("/etc/metricat", str(tmp_path)) for line in suggested))
    assert eventually(lambda: "node_load1" in node.page("https")), node.run("cat", "/run/agent.log")
    assert node.page() == ""
