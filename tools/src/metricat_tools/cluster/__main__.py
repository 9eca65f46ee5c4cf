"""`python -m metricat_tools cluster up | down | list | kubectl | load | kubeconfig | enter ...`."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from metricat_tools.binaries import ensure
from metricat_tools.cluster import cleanup
from metricat_tools.cluster.control_plane import ControlPlane
from metricat_tools.cluster.node_cluster import NodeCluster
from metricat_tools.cluster.processes import ClusterProcesses, marked_folders
from metricat_tools.cluster.state import State, names, root
from metricat_tools.errors import ToolError

_REPEAT = 0.05
"""Seconds from the loss of an interrupt to its repetition. The finalizer must have returned."""


def up(chosen: argparse.Namespace) -> None:
    """Start a cluster. Remove everything if the start is interrupted."""
    began = time.monotonic()
    if chosen.control_plane_only:
        plane = ControlPlane.start(chosen.name, audit=chosen.audit, keep=True)
    else:
        plane = NodeCluster.up(chosen.name, chosen.nodes, audit=chosen.audit, say=_say).control_plane
    try:
        if chosen.simulated:
            plane.simulate_nodes(chosen.simulated)
            _say(f"{chosen.simulated} simulated nodes are Ready after {time.monotonic() - began:.1f} s")
    except BaseException:
        plane.stop()
        raise
    plane.detach()
    _say(f"{chosen.name} is running after {time.monotonic() - began:.1f} s; use it with")
    print(f"export KUBECONFIG={plane.kubeconfig}")


def down(chosen: argparse.Namespace) -> None:
    """Remove clusters, including crashed ones."""
    if bool(chosen.names) == chosen.all:
        raise ToolError("it is unclear which clusters to remove. Use either names or --all")
    started = {folder.name for folder in marked_folders() if folder.parent == root()}
    for name in sorted(started | set(names())) if chosen.all else chosen.names:
        began = time.monotonic()
        state = State(name)
        with state.locked():
            existed = cleanup.remove(state)
        took = f"is removed after {time.monotonic() - began:.1f} s"
        _say(f"{name} {took if existed else 'does not exist. There is nothing to remove'}")


def show(_: argparse.Namespace) -> None:
    """List the clusters."""
    for name in names():
        state = State(name)
        facts, roles = state.load(), set(ClusterProcesses(state.folder).running().values())
        kind = f"{facts['nodes']} nodes" if facts["kind"] == "nodes" else "control plane only"
        health = "crashed" if "kube-apiserver" not in roles else f"{len(roles)} programs running"
        print(f"{name:<24} {kind:<20} {health:<20} {facts['url']}")


def kubectl(chosen: argparse.Namespace) -> None:
    """Run kubectl as the cluster's administrator."""
    program, config = str(ensure("kubectl")["kubectl"]), _kubeconfig(chosen.name)
    environment = {**os.environ, "KUBECONFIG": str(config), "KUBECACHEDIR": str(config.parent / "kubectl-cache")}
    os.execve(program, ["kubectl", *chosen.words], environment)


def kubeconfig(chosen: argparse.Namespace) -> None:
    """Print the path of the administrator's kubeconfig."""
    print(_kubeconfig(chosen.name))


def load(chosen: argparse.Namespace) -> None:
    """Import images into every node."""
    archives = [Path(name) for name in chosen.archives]
    if missing := [path for path in archives if not path.is_file()]:
        raise ToolError(f"file {missing[0]} does not exist. Build the images first, or name a docker archive")
    NodeCluster.find(chosen.name).load_image(*archives)


def enter(chosen: argparse.Namespace) -> None:
    """Run a program on a node, in its network and with its mounts."""
    node = NodeCluster.find(chosen.name).node(chosen.node)
    words = node.namespaces.enter(chosen.words or [os.environ.get("SHELL", "/bin/sh")])
    os.execvp(words[0], words)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="python -m metricat_tools cluster", description="Start and stop real test clusters without Docker."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    one = command("up", up, "start a cluster; an existing one with the same name, running or crashed, is removed first")
    one.add_argument("name", metavar="NAME")
    one.add_argument("--nodes", type=int, default=2, metavar="N", help="nodes that run containers (default 2)")
    one.add_argument(
        "--control-plane-only", action="store_true", help="start no nodes that run containers; needs no root"
    )
    one.add_argument("--simulated", type=int, default=0, metavar="N", help="number of simulated nodes to add")
    one.add_argument("--audit", action="store_true", help="log the metadata of every request")
    one = command("down", down, "remove clusters and all their files")
    one.add_argument("names", nargs="*", metavar="NAME")
    one.add_argument("--all", action="store_true", help="every cluster of this user")
    command("list", show, "list the clusters")
    one = command("kubectl", kubectl, "run kubectl as the administrator: kubectl NAME -- ARGUMENTS")
    one.add_argument("name", metavar="NAME")
    one.add_argument("words", nargs=argparse.REMAINDER, metavar="ARGUMENTS")
    one = command("load", load, "import docker archives into every node")
    one.add_argument("name", metavar="NAME")
    one.add_argument("archives", nargs="+", metavar="FILE")
    one = command("kubeconfig", kubeconfig, "print the path of the administrator's kubeconfig")
    one.add_argument("name", metavar="NAME")
    one = command("enter", enter, "run a program on a node: enter NAME NODE -- PROGRAM")
    one.add_argument("name", metavar="NAME")
    one.add_argument("node", metavar="NODE")
    one.add_argument("words", nargs=argparse.REMAINDER, metavar="PROGRAM")
    return top


def main(arguments: Sequence[str]) -> None:
    """Run a command. SIGTERM acts like an interrupt, so that both clean up."""
    chosen = parser().parse_args(arguments)
    if getattr(chosen, "words", [])[:1] == ["--"]:
        chosen.words = chosen.words[1:]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    sys.unraisablehook = _interrupt_again
    chosen.run(chosen)


def _interrupt(_: int, __: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a second signal must not stop the cleanup
    raise KeyboardInterrupt


def _interrupt_again(lost: "sys.UnraisableHookArgs") -> None:
    """Repeat an interrupt that was lost: Python ignores an exception in a finalizer such as `Popen.__del__`."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, _REPEAT)


def _kubeconfig(name: str) -> Path:
    state = State(name)
    state.load()
    return state.folder / "admin.kubeconfig"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
