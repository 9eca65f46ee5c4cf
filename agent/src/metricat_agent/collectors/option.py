"""Settings of the agent and of its collectors, as data. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T_co = TypeVar("T_co", covariant=True)


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

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        return "METRICAT_" + re.sub(r"[^A-Z0-9]", "_", self.name.upper())

    def below(self, prefix: str) -> Option:
        """Return the same option with ``prefix.`` before its name."""
        return Option(
            f"{prefix}.{self.name}", self.default, self.what, self.metavar, self.many, self.switch, self.choices
        )


@dataclass(frozen=True, slots=True)
class CollectorOption(Option, Generic[T_co]):
    """A collector's option, whose values have the type that ``parse`` returns."""

    parse: Callable[[str], T_co] = field(kw_only=True)
    """Turns the text of the setting into a value. Raises ValueError with a message that says what to write."""


def switch(name: str, what: str) -> CollectorOption[bool]:
    """Return an option that is on or off, and off by default."""
    return CollectorOption(name, "false", what, switch=True, parse=lambda text: text == "true")
