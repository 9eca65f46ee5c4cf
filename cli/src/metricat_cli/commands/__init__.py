"""The subcommands: one module each, with `add_parser`, which adds its parser and sets `run` as its default.

Other packages add subcommands as entry points of the group `metricat.commands`: the name is the command, the value is
such a module. A module is imported only when its command runs or its help is printed: `backtest` alone needs 40 MiB.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from metricat_cli.errors import CommandError

GROUP = "metricat.commands"
COMMANDS = ("backtest",)
"""The commands of this package, in the order of the help."""
PACKAGES = {"up": "metricat-hub", "hub": "metricat-hub", "store": "metricat-hub"}
"""The packages that add the other known commands."""

Command = Any
"""A module with `add_parser` and `run`."""


def available() -> Mapping[str, Callable[[], Command]]:
    """Return a function for each installed command that imports its module, in the order of the help."""
    found: dict[str, Callable[[], Command]] = {name: _own(name) for name in COMMANDS}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        package = entry.dist.name if entry.dist else "an unknown package"
        found.setdefault(entry.name, _added(entry.name, entry.load, package))
    return found


def missing(name: str) -> CommandError | None:
    """Return the error for a known command whose package is not installed; None for any other command."""
    package = PACKAGES.get(name)
    if package is None or name in available():
        return None
    return CommandError(f"the command {name} is part of {package}, which is not installed. Run: pip install {package}")


def _own(name: str) -> Callable[[], Command]:
    return lambda: import_module(f"{__name__}.{name}")


def _added(name: str, load: Callable[[], Command], package: str) -> Callable[[], Command]:
    def loaded() -> Command:
        try:
            return load()
        except ImportError as error:
            remedy = f"Run: pip install --force-reinstall {package}"
            raise CommandError(f"the command {name} of {package} cannot be loaded: {error}. {remedy}") from error

    return loaded
