"""Removal of clusters: of a cluster in any state, and of clusters whose owner process has ended.

A cluster that is tied to a process leaves its files behind when that process is killed.
"""

import os

from metricat_tools.cluster import cgroups, mounts
from metricat_tools.cluster.processes import ClusterProcesses, marked_folders, started_at
from metricat_tools.cluster.state import State, names
from metricat_tools.errors import ToolError


def remove(state: State) -> bool:
    """Kill the cluster's processes, which ends its namespaces and mounts, and remove its control groups and files.

    Return whether anything of the cluster existed.
    """
    processes = ClusterProcesses(state.folder)
    existed = state.folder.exists() or bool(processes.running())
    processes.kill_all()
    # A pod's processes have their own environment. Only their control group shows which cluster they belong to.
    cgroups.remove(f"{cgroups.TOP}/{state.name}")
    mounts.unmount_below(processes)
    mounts.forget(state)
    if state.folder.exists():
        state.remove()
    return existed


def owner() -> list[int]:
    """Return the identity of this process as an owner: its ID and its start time, because the kernel reuses IDs."""
    return [os.getpid(), started_at(os.getpid())]


def remove_orphans() -> None:
    """Remove every tied cluster that has no running process and whose owner has ended."""
    alive = marked_folders()
    for name in names():
        state = State(name)
        try:
            tied = state.load().get("owner")
        except ToolError:
            continue  # its owner has just stopped it
        if tied and started_at(tied[0]) != tied[1] and state.folder not in alive:
            remove(state)
