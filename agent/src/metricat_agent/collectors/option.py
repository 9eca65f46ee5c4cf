"""Settings of the agent and of its collectors, as data. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T_co = TypeVar("T_co", covariant=True)
_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?|\.[0-9]+")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def variable_name(setting: str, prefix: str = "METRICAT_") -> str:
    """Return the name of a setting's environment variable."""
    return prefix + re.sub(r"[^A-Z0-9]", "_", setting.upper())


def parse_whole(text: str, least: int, most: int, example: object) -> int:
    """Return a whole number from ``least`` to ``most``, in plain digits; raise ValueError for any other text."""
    if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
        raise ValueError(f"not a whole number from {least} to {most}; write for example {example}")
    return int(text)


def parse_decimal(text: str) -> float:
    """Return a number in plain digits, such as ``1.5``; raise ValueError for ``1e3``, ``1_000``, ``nan`` or ``010``."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"not a number: {text}")
    return float(text)


def parse_boolean(text: str) -> bool:
    """Return whether a text is a word for true; raise ValueError if it is a word for neither true nor false."""
    word = text.lower()
    if word not in (*_TRUE, *_FALSE):
        raise ValueError("not a boolean; write true or false")
    return word in _TRUE


@dataclass(frozen=True, slots=True)
class Option:
    """One setting: ``--name=VALUE``, ``name:`` in the file, ``METRICAT_NAME`` in the environment."""

    name: str
    default: str
    what: str
    metavar: str = "TEXT"
    many: bool = False
    switch: bool = False
    """Whether the setting is on or off, and takes no value on the command line."""
    choices: tuple[str, ...] = ()
    former_names: tuple[str, ...] = ()
    """Deprecated names, which still work as flag, in the file and in the environment."""
    file: bool = False
    """Whether the value is the path of a YAML file. Its parser gets the content as JSON text, empty without a file."""
    secret: bool = False
    """Whether messages leave out the value, because it may contain a password."""

    @property
    def variable(self) -> str:
        """The name of the setting's environment variable."""
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
