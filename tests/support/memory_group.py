"""Memory limits by cgroup, as a container has them. Version 1 and version 2."""

from __future__ import annotations

import contextlib
import re
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metricat_tools.cluster import cgroups

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_tools.cluster.cgroups import Hierarchy

MIB = 1 << 20


@dataclass(frozen=True)
class MemoryGroup:
    """A cgroup with a memory limit. It has no swap."""

    path: Path
    unified: bool

    @property
    def prefix(self) -> list[str]:
        """The beginning of a command that runs in the group."""
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.path / "cgroup.procs")]

    @property
    def kills(self) -> int:
        """The number of processes that the kernel has killed because of the limit."""
        text = (self.path / ("memory.events" if self.unified else "memory.oom_control")).read_text()
        found = re.search(r"^oom_kill (\d+)$", text, re.MULTILINE)
        assert found, text
        return int(found[1])

    def limit(self, size: int) -> None:
        """Set the limit in bytes. Version 1 raises OSError if the processes use more and need all of it."""
        (self.path / ("memory.max" if self.unified else "memory.limit_in_bytes")).write_text(str(size))

    @property
    def used(self) -> int:
        """The bytes that the kernel can free only by a kill."""
        found = re.search(r"^(?:anon|total_rss) (\d+)$", (self.path / "memory.stat").read_text(), re.MULTILINE)
        assert found
        return int(found[1])

    def squeeze(self, room: int) -> None:
        """Set the limit to what the processes use now, and some bytes for the files that they read."""
        with contextlib.suppress(OSError):  # the kernel needs more itself
            self.limit(self.used + room)


@contextmanager
def memory_group(size: int) -> Iterator[MemoryGroup]:
    """Create a group with a limit in bytes. Skip the test on a machine that does not permit it."""
    tree = _tree()
    if tree is None:
        pytest.skip("no cgroup tree has the memory controller")
    name = f"metricat-limit-{secrets.token_hex(4)}"
    group = MemoryGroup(tree.path / name, tree.unified)
    try:
        if tree.unified:
            (tree.path / "cgroup.subtree_control").write_text("+memory")
        group.path.mkdir()
    except OSError as error:
        pytest.skip(f"cannot create a memory cgroup in {tree.path}: {error.strerror}")
    try:
        group.limit(size)
        swap = group.path / ("memory.swap.max" if tree.unified else "memory.swappiness")
        with contextlib.suppress(FileNotFoundError):  # the kernel has no swap
            swap.write_text("0")
        yield group
    finally:
        cgroups.remove(name, [tree])


def _tree() -> Hierarchy | None:
    """Return the tree with the memory controller."""
    for one in cgroups.hierarchies():
        controllers = one.path / "cgroup.controllers"
        if (one.unified and "memory" in controllers.read_text().split()) or (
            not one.unified and (one.path / "memory.limit_in_bytes").exists()
        ):
            return one
    return None


def peak_mib(pid: int) -> float:
    """Return the largest resident memory of a process so far in MiB."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024
