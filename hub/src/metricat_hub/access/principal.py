"""The authenticated client of a request, and its scopes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Scope: TypeAlias = Literal["read", "write", "edit", "admin"]
"""`write` sends samples. `edit` changes alert rules, silences, windows, acknowledgements and dead letters."""
SCOPES: tuple[Scope, ...] = ("read", "write", "edit", "admin")
Role: TypeAlias = Literal["viewer", "editor", "admin"]
Kind: TypeAlias = Literal["user", "key", "kubernetes", "anonymous"]
SCOPES_OF: Mapping[Role, frozenset[Scope]] = {
    "viewer": frozenset(("read",)),
    "editor": frozenset(("read", "write", "edit")),
    "admin": frozenset(SCOPES),
}
"""The scopes of each role, the least powerful role first."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated client of a request."""

    name: str
    """The name in logs: the ID of an API key, a user name, the name of a ServiceAccount, or `anonymous`."""
    scopes: frozenset[Scope]
    label: str = ""
    """The label of the key, which its owner chose."""
    kind: Kind = "key"
    role: Role | None = None
    """The role of a user; None: the client is not a user, and has only its scopes."""
    owner: str = ""
    """The name of the user, or of the user who owns the API key; empty: no user."""
    session: str = ""
    """The ID of the user's session; empty: the client has none."""
    namespaces: frozenset[str] | None = None
    """The client may read only series whose label `namespace` is one of these; None: all series."""
    reports_alerts: bool = False
    """Whether the client may record an Alertmanager's alerts in the alert history without the scope `write`."""

    @property
    def identity(self) -> str:
        """A unique text for the client. It includes the kind: clients of different kinds can have equal names."""
        return f"{self.kind}:{self.name}"

    def may(self, scope: Scope) -> bool:
        """Return whether the client has a scope. The scope `admin` includes all others."""
        return scope in self.scopes or "admin" in self.scopes

    @property
    def visibility(self) -> str:
        """A part of cache keys that identifies the series that the client may see; empty: all series."""
        return "" if self.namespaces is None else f"namespaces {sorted(self.namespaces)}"


def user_principal(name: str, role: Role, session: str = "") -> Principal:
    """Return the principal of a user."""
    return Principal(name, SCOPES_OF[role], kind="user", role=role, owner=name, session=session)


ANONYMOUS = Principal("anonymous", SCOPES_OF["editor"], kind="anonymous")
