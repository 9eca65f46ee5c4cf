"""Who sends a request, and what the request may do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Scope: TypeAlias = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "write", "admin")


@dataclass(frozen=True, slots=True)
class Principal:
    """The client of a request. Its name appears in logs: the ID of an API key, a user name, or `anonymous`."""

    name: str
    scopes: frozenset[Scope]
    label: str = ""
    """The text that the owner of the key gave it."""

    def may(self, scope: Scope) -> bool:
        """Return whether the client has a scope; `admin` includes the others."""
        return scope in self.scopes or "admin" in self.scopes
