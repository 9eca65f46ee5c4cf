"""Users, API keys, sessions and signing keys, as they are stored. Pure. Times are milliseconds since 1970-01-01 UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from metricat_hub.access.principal import Role, Scope


class AccountError(HubError):
    """A user, a key or a session cannot be changed as requested. The message says what to do."""


class NotFoundError(AccountError):
    """The user or the key does not exist."""


class ConflictError(AccountError):
    """The change conflicts with another one, or with a rule such as the last administrator."""


class StaleVersionError(ConflictError):
    """Another client changed the user since this client read it."""


@dataclass(frozen=True, slots=True)
class User:
    """A user. Its identifier stays the same, and no later user gets it."""

    id: str
    name: str
    role: Role
    created: int
    disabled: int | None = None
    """When the user was disabled; None: the user is active."""
    external: str = ""
    """Issuer and subject of an OpenID Connect account; empty: a local user with a password."""
    version: int = 1
    """A number that each change increments."""

    @property
    def is_active_admin(self) -> bool:
        """Whether the user may manage users now."""
        return self.role == "admin" and self.disabled is None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The stored properties of a key, except its hash. A time of None means never."""

    id: str
    label: str
    scopes: frozenset[Scope]
    created: int
    expires: int | None = None
    last_used: int | None = None
    revoked: int | None = None
    owner: str = ""
    """The ID of the user who owns the key; empty: it belongs to the hub."""

    def state(self, now: int) -> Literal["active", "expired", "revoked"]:
        """Return the state at a time."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"


@dataclass(frozen=True, slots=True)
class Session:
    """A login of a user, until its end. All refresh tokens of the login belong to it."""

    id: str
    user: str
    """The ID of the user."""
    created: int
    expires: int
    """The latest end, however often the client refreshes it."""
    client: str = ""
    """The `User-Agent` of the login; empty: unknown."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs access tokens."""

    id: str
    secret: bytes = field(repr=False)
    created: int
    retired: int | None = None
    """When a newer key replaced it; None: it signs new tokens."""


Rotation: TypeAlias = Literal["rotated", "unknown", "expired", "reused"]
"""The result of a refresh: `reused` means that the token was replaced before."""
