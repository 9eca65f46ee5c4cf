"""The end of a cluster, also of one that crashed: nothing of it is left, whatever state it was in."""

from metricat_tools.cluster import cgroups, mounts
from metricat_tools.cluster.processes import Processes
from metricat_tools.cluster.state import State


def remove(state: State) -> bool:
    """End the cluster's processes, and with them its namespaces and mounts; remove its groups and files.

    Gives whether there was anything of it.
    """
    existed = state.folder.exists() or bool(Processes(state.folder).running())
    Processes(state.folder).kill_all()
    # A pod's processes have an environment of their own; their control group tells whose they are.
    cgroups.remove(f"{cgroups.TOP}/{state.name}")
    mounts.unmount_below(state.folder)
    mounts.forget(state)
    if state.folder.exists():
        state.remove()
    return existed
