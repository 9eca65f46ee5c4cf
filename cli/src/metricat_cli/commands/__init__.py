"""The subcommands: one module each, with `command`, the function that Typer turns into the command.

`COMMANDS` has the summary of each: so the help of `metricat` imports no command. A module is imported only when its
command runs or its help is printed: `backtest` alone needs 40 MiB.

Other packages add subcommands as entry points of the group `metricat.commands`. The name is the command. The value is a
module with `command`, or a module with `add_parser`, which adds an argparse parser and sets `run` as its default.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from metricat_cli.errors import CommandError

GROUP = "metricat.commands"
COMMANDS = {
    "status": "show the MonitoringTargets and the causes of their problems",
    "check": "check each link from the operator to the samples, with remedies",
    "nodes": "list the nodes and their agents, the worst first",
    "top": "show the nodes or processes with the highest current usage",
    "alerts": "list the firing alerts with their descriptions",
    "validate": "check MonitoringTargets in files, without a cluster",
    "render": "print the managed objects of a MonitoringTarget, without a cluster",
    "diff": "show which managed objects a changed MonitoringTarget would change",
    "backtest": "report when a MonitoringTarget's alerts would have fired",
    "migrate": "write a MonitoringTarget from the values of node_exporter's chart",
    "bundle": "write a support archive with masked secrets",
    "completion": "print the completion script for bash, zsh or fish",
    "version": "print the versions of the command line, the operators and the cluster",
}
"""The commands of this package with their summaries, in the order of the help."""
ADDED = {
    "up": ("metricat-hub", "run agent and hub on this machine"),
    "hub": ("metricat-hub", "run the hub: scrape, store and query many machines"),
    "store": ("metricat-hub", "check, compact, export, import or back up the hub's samples"),
}
"""The known commands that other packages add: the package and the summary."""

Command = Any
"""A module with `command`, or with `add_parser` and `run`."""


def available() -> Mapping[str, Callable[[], Command]]:
    """Return a function for each installed command that imports its module, in the order of the help."""
    found: dict[str, Callable[[], Command]] = {name: _own(name) for name in COMMANDS}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        found.setdefault(entry.name, _added(entry))
    return found


def summaries() -> Mapping[str, str]:
    """Return the summary of each installed command, in the order of the help."""
    found = {name: COMMANDS.get(name) or ADDED.get(name, ("", ""))[1] for name in available()}
    return {name: summary or f"added by {package_of(name)}" for name, summary in found.items()}


def missing(name: str) -> CommandError | None:
    """Return the error for a known command whose package is not installed; None for any other command."""
    if name not in ADDED or name in available():
        return None
    package, _ = ADDED[name]
    return CommandError(f"the command {name} is part of {package}, which is not installed. Run: pip install {package}")


def package_of(name: str) -> str:
    """Return the package that adds a command."""
    return next((_package(entry) for entry in entry_points(group=GROUP) if entry.name == name), "metricat-cli")


def _own(name: str) -> Callable[[], Command]:
    return lambda: _load(name, "metricat-cli", lambda: import_module(f"{__name__}.{name}"))


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unknown package"


def _added(entry: EntryPoint) -> Callable[[], Command]:
    return lambda: _load(entry.name, _package(entry), entry.load)


def _load(name: str, package: str, load: Callable[[], Command]) -> Command:
    try:
        return load()
    except ImportError as error:
        remedy = f"Run: pip install --force-reinstall {package}"
        raise CommandError(f"the command {name} of {package} cannot be loaded: {error}. {remedy}") from error
