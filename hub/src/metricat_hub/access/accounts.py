"""Users, API keys, sessions and signing keys, as stored. Pure. Times are in milliseconds since 1970-01-01 UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from metricat_hub.access.principal import Role, Scope


class AccountError(HubError):
    """A user, a key or a session cannot be changed as requested. The message says what to do."""


class NotFoundError(AccountError):
    """The user, the key or the session does not exist."""


class ConflictError(AccountError):
    """The change conflicts with stored data or breaks a rule, such as removing the last administrator."""


class StaleVersionError(ConflictError):
    """Another client changed the user since this client read it."""


@dataclass(frozen=True, slots=True)
class User:
    """A user of the hub. The ID of a user never changes and is never reused."""

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
        """Whether the user is an administrator and not disabled."""
        return self.role == "admin" and self.disabled is None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as stored, without its hash. None as a time means never."""

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
        """Return the state of the key at the time `now`."""
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
    """When the session ends at the latest, even if the client keeps refreshing it."""
    client: str = ""
    """The `User-Agent` of the login; empty: unknown."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret key with which the hub signs access tokens."""

    id: str
    secret: bytes = field(repr=False)
    created: int
    retired: int | None = None
    """When a newer key replaced it; None: it signs new tokens."""


Rotation: TypeAlias = Literal["rotated", "unknown", "expired", "reused"]
"""The result of a refresh: `reused` means that the token was replaced before."""
