"""Folders of clusters whose owner died: a cluster tied to a process leaves its files behind when that is killed."""

import os

from metricat_tools.cluster import teardown
from metricat_tools.cluster.processes import marked_folders, started_at
from metricat_tools.cluster.state import State, names
from metricat_tools.errors import ToolError


def owner() -> list[int]:
    """This process as a cluster remembers it: its ID and when it started, since IDs are used again."""
    return [os.getpid(), started_at(os.getpid())]


def sweep() -> None:
    """Remove the files of every tied cluster whose owner has ended."""
    alive = marked_folders()
    for name in names():
        state = State(name)
        try:
            tied = state.recall().get("owner")
        except ToolError:
            continue  # stopped by its owner just now
        if tied and started_at(tied[0]) != tied[1] and state.folder not in alive:
            teardown.remove(state)
