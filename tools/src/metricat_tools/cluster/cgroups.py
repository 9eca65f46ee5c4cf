"""The control groups of a cluster: created for kubelets, and removed with every process in them.

Version 1 has a tree for each controller (Documentation/admin-guide/cgroup-v1 in the kernel). Version 2 has one tree,
where a parent must enable its controllers for its children (Documentation/admin-guide/cgroup-v2.rst).
"""

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from metricat_tools.errors import ToolError

TOP = "metricat"
_MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True)
class Hierarchy:
    """One mounted tree of control groups."""

    path: Path
    unified: bool
    """Version 2. Next to trees of version 1 (systemd's hybrid mode), it has no controllers."""


def hierarchies(mountinfo: str | None = None) -> list[Hierarchy]:
    """Return the mounted trees (proc(5), /proc/PID/mountinfo)."""
    text = _MOUNTS.read_text() if mountinfo is None else mountinfo
    found: dict[Path, Hierarchy] = {}
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        kind = right.split()[0]
        if kind in {"cgroup", "cgroup2"}:
            path = Path(left.split()[4])
            found[path] = Hierarchy(path, unified=kind == "cgroup2")
    return list(found.values())


def create(group: str, trees: Sequence[Hierarchy] | None = None) -> None:
    """Create a group such as `metricat/NAME/n1` in every tree, so that a kubelet can create its own below it."""
    chosen = hierarchies() if trees is None else trees
    if not chosen:
        raise ToolError("no cgroup tree is mounted. Mount cgroup2 on /sys/fs/cgroup")
    for tree in chosen:
        steps = [tree.path.joinpath(*Path(group).parts[:depth]) for depth in range(len(Path(group).parts) + 1)]
        for parent, child in itertools.pairwise(steps):
            if tree.unified:
                _enable_controllers(parent)
            child.mkdir(exist_ok=True)
            if not tree.unified:
                _inherit_cpuset(parent, child)
        if tree.unified:
            _enable_controllers(steps[-1])


def remove(group: str, trees: Sequence[Hierarchy] | None = None, seconds: float = 10.0) -> None:
    """Kill every process in the group and its subgroups, and remove the group if it exists."""
    deadline = time.monotonic() + seconds
    for tree in hierarchies() if trees is None else trees:
        root = tree.path / group
        while root.exists():
            if pids := _processes(root):
                _kill(pids)
            else:
                _remove_empty(root)
            if root.exists():
                if time.monotonic() > deadline:
                    raise ToolError(f"the control group {root} remains after {seconds:.0f} s, with processes {pids}")
                time.sleep(0.02)
        for parent in list(root.parents)[: len(Path(group).parts) - 1]:
            with contextlib.suppress(OSError):  # it contains groups of another cluster
                parent.rmdir()


def _enable_controllers(parent: Path) -> None:
    """Let the children of a group of version 2 use all its controllers."""
    control = parent / "cgroup.subtree_control"
    available = (parent / "cgroup.controllers").read_text().split()
    missing = sorted(set(available) - set(control.read_text().split()))
    if not missing:
        return
    try:
        control.write_text(" ".join(f"+{name}" for name in missing))
    except OSError as error:
        remedy = "In a container, first move its processes into a child group"
        raise ToolError(f"{control} does not accept controllers ({error.strerror}). {remedy}") from error


def _inherit_cpuset(parent: Path, child: Path) -> None:
    """Copy the parent's cpuset: a new one of version 1 is empty, and no process can enter an empty one."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        source, target = parent / name, child / name
        if source.exists() and target.exists() and not target.read_text().strip():
            target.write_text(source.read_text())


def _processes(root: Path) -> list[int]:
    pids: list[int] = []
    for file in root.rglob("cgroup.procs"):
        try:
            pids += [int(line) for line in file.read_text().split()]
        except OSError:  # the group was just removed, or is a threaded group of version 2
            continue
    return pids


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        if pid > 0:  # a process of another PID namespace appears as 0
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _remove_empty(root: Path) -> None:
    """Remove a tree of groups from the leaves up. Skip cgroups that contain processes."""
    for folder, _, _ in os.walk(root, topdown=False):
        try:
            Path(folder).rmdir()
        except OSError:
            continue
