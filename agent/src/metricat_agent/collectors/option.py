"""One setting of the agent or of a collector, as data. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass


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
        """Its name in the environment."""
        return "METRICAT_" + re.sub(r"[^A-Z0-9]", "_", self.name.upper())

    def below(self, prefix: str) -> Option:
        """Return the same under a longer name."""
        return Option(
            f"{prefix}.{self.name}", self.default, self.what, self.metavar, self.many, self.switch, self.choices
        )
