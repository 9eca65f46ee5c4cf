"""Settings of the agent and of its collectors, as data. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T_co = TypeVar("T_co", covariant=True)


def variable_name(setting: str) -> str:
    """Return the name of a setting's environment variable."""
    return "METRICAT_" + re.sub(r"[^A-Z0-9]", "_", setting.upper())


@dataclass(frozen=True, slots=True)
class Option:
    """One setting: ``--name=VALUE``, ``name:`` in the file, ``METRICAT_NAME`` in the environment."""

    name: str
    default: str
    what: str
    metavar: str = "TEXT"
    many: bool = False
    switch: bool = False
    """On or off, without a value on the command line."""
    choices: tuple[str, ...] = ()
    former_names: tuple[str, ...] = ()
    """Deprecated names, which still work as flag, in the file and in the environment."""

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        return variable_name(self.name)

    def below(self, prefix: str) -> Option:
        """Return the same option with ``prefix.`` before its name."""
        former_names = tuple(f"{prefix}.{name}" for name in self.former_names)
        return replace(self, name=f"{prefix}.{self.name}", former_names=former_names)


@dataclass(frozen=True, slots=True)
class CollectorOption(Option, Generic[T_co]):
    """A collector's option, whose values have the type that ``parse`` returns."""

    parse: Callable[[str], T_co] = field(kw_only=True)
    """Turns the text of the setting into a value. Raises ValueError with a message that says what to write."""


def switch(name: str, what: str) -> CollectorOption[bool]:
    """Return an option that is on or off, and off by default."""
    return CollectorOption(name, "false", what, switch=True, parse=lambda text: text == "true")
