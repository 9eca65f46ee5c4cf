"""A systemd in its own namespaces, which runs our units and no others."""

from __future__ import annotations

import os
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SCRIPT = Path(__file__).with_suffix(".sh")
GROUP = f"metricat-unit-{os.getpid()}"
TARGETS = ("sysinit", "basic", "multi-user", "network", "shutdown", "umount", "final")
"""Empty targets replace those of the host, which would set up the host."""
JOURNAL = ("systemd-journald.service", "systemd-journald.socket")
"""Not the socket /dev/log: /dev is that of the host."""
FETCH = """
import ssl, sys, urllib.request as request
context = ssl._create_unverified_context() if sys.argv[1].startswith("https") else None
headers = {"Authorization": f"Bearer {sys.argv[2]}"} if sys.argv[2:] else {}
print(request.urlopen(request.Request(sys.argv[1], headers=headers), timeout=10, context=context).read().decode())
"""

needs_systemd = pytest.mark.skipif(
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

    def unit_property(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", unit, f"--property={name}", "--value").strip()

    def configure(self, unit: str, *lines: str) -> None:
        """Restart a unit with these lines in addition to its own."""
        settings = self.units / f"{unit}.service.d" / "test.conf"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text("\n".join(("[Service]", *lines)))
        self.run("systemctl", "daemon-reload")
        self.run("systemctl", "restart", unit, check=False)

    def fetch(self, url: str, key: str = "") -> str:
        """Return the body of a response; empty without one."""
        return self.run(sys.executable, "-c", FETCH, url, *([key] if key else []), check=False)

    def journal(self) -> str:
        """Return everything in the journal."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--output=export", "--all")


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Wait until a condition is true; return whether it is."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


@contextmanager
def booted(units: Path, cgroup: Path, files: Sequence[Path], sources: Sequence[Path]) -> Iterator[Node]:
    """Boot systemd with these unit files, and programs of these directories of Python modules."""
    for file in files:
        shutil.copy(file, units)
    for name in JOURNAL:
        shutil.copy(Path("/lib/systemd/system", name), units)
    for name in TARGETS:
        (units / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    with _unified(cgroup) as tree:
        group = tree.path / GROUP
        group.mkdir()
        enter = f'echo $$ > {group}/cgroup.procs && exec "$@"'
        apart = ("unshare", "--cgroup", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child")
        boot = ("sh", str(SCRIPT), str(units), sys.base_prefix, *map(str, sources))
        with subprocess.Popen(["sh", "-c", enter, "sh", *apart, *boot], stderr=subprocess.PIPE) as unshare:
            try:
                assert eventually(lambda: bool(_children(unshare.pid))), "unshare starts a process"
                node = Node(_children(unshare.pid)[0], units)
                ready = ("systemctl", "is-system-running")
                assert eventually(lambda: node.run(*ready, check=False).strip() in ("running", "degraded"))
                node.run("systemctl", "start", "systemd-journald")
                yield node
            finally:
                unshare.kill()
                unshare.wait(60)
                remove(GROUP, [tree])


def exposure(unit: Path) -> float:
    """Return the exposure of a unit from `systemd-analyze security`: from 0, fully sandboxed, to 10."""
    command = ("systemd-analyze", "security", "--offline=true", "--no-pager", str(unit))
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(output.rpartition("Overall exposure level for ")[2].split()[1])


@contextmanager
def _unified(place: Path) -> Iterator[Hierarchy]:
    """Yield the host's cgroup v2 hierarchy; if the host has none, mount one."""
    if (found := next((tree for tree in hierarchies() if tree.unified), None)) is not None:
        yield found
        return
    subprocess.run(["mount", "-t", "cgroup2", "cgroup2", place], check=True)
    try:
        yield Hierarchy(place, unified=True)
    finally:
        subprocess.run(["umount", place], check=True)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
