"""The structs of requests and responses about accounts. Times are RFC 3339 in UTC."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from metricat_hub.access.principal import Kind, Role, Scope  # noqa: TC001 -- msgspec evaluates annotations

Time = Annotated[str, Meta(description="Time in UTC, RFC 3339.", examples=["2026-01-31T12:00:00.000Z"])]
Name = Annotated[str, Meta(description="Letters, digits and ._@+-.", max_length=200)]
Password = Annotated[str, Meta(max_length=1_000)]


class Login(msgspec.Struct, forbid_unknown_fields=True):
    """Name and password of a user."""

    name: Name
    password: Password
    cookie: Annotated[bool, Meta(description="Set cookies for a web page instead of returning the tokens.")] = False


class Refresh(msgspec.Struct, forbid_unknown_fields=True):
    """A refresh token; empty: the token is in the cookie."""

    refresh_token: Annotated[str, Meta(max_length=200)] = ""


class Setup(msgspec.Struct, forbid_unknown_fields=True):
    """The first administrator, and the token that the hub prints at its start."""

    token: Annotated[str, Meta(max_length=200)]
    name: Name
    password: Password


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """The present password of the user and the new one."""

    old: Password
    new: Password


class NewUser(msgspec.Struct, forbid_unknown_fields=True):
    """A user to add."""

    name: Name
    password: Password
    role: Role = "viewer"


class UserChange(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of a user; null: unchanged."""

    role: Role | None = None
    disabled: bool | None = None
    password: Password | None = None


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """An API key to create."""

    label: Annotated[str, Meta(max_length=200)] = "unnamed"
    scopes: list[Scope] = msgspec.field(default_factory=lambda: ["read"])
    expires: Annotated[str | None, Meta(description="Time in UTC, RFC 3339; null: the key does not expire.")] = None
    owner: Annotated[
        str | None,
        Meta(description="User who owns the key; null: the client itself; empty: the hub. Only an admin gives it."),
    ] = None


class UserView(msgspec.Struct):
    """A user."""

    name: str
    role: Role
    state: Literal["active", "disabled"]
    login: Annotated[Literal["password", "oidc"], Meta(description="Where the user logs in.")]
    created: Time
    version: Annotated[int, Meta(description="Send it as If-Match with a change, to detect another change.")]


class Users(msgspec.Struct):
    """The users, by name."""

    data: list[UserView]


class KeyView(msgspec.Struct):
    """An API key without its secret."""

    id: str
    label: str
    scopes: list[Scope]
    state: Literal["active", "expired", "revoked"]
    owner: str | None
    created: Time
    expires: Time | None
    last_used: Annotated[Time | None, Meta(description="To the minute.")]


class Keys(msgspec.Struct):
    """The API keys, the oldest first."""

    data: list[KeyView]


class CreatedKey(msgspec.Struct):
    """A new API key. No later response has its text."""

    key: str
    entry: KeyView


class Me(msgspec.Struct):
    """The client that sends the request."""

    name: str
    kind: Kind
    role: Role | None
    scopes: list[Scope]
    label: str
    owner: str | None
    session: Annotated[str | None, Meta(description="Identifier of the session; null: the client has none.")]
    monitoring_targets: Annotated[bool, Meta(description="Whether the hub is in a cluster with MonitoringTargets.")]
    notifier: Annotated[
        Literal["hub", "alertmanager", "unknown"],
        Meta(description="Which program sends the notifications. Only the hub has acknowledgements and windows."),
    ]


class SessionView(msgspec.Struct):
    """A login of the user."""

    id: str
    client: Annotated[str, Meta(description="The `User-Agent` of the login; empty: unknown.")]
    created: Time
    expires: Annotated[Time, Meta(description="The latest end. An unused session ends after a week.")]
    current: Annotated[bool, Meta(description="Whether it is the session of the request.")]


class SessionViews(msgspec.Struct):
    """The sessions of the user, the newest first."""

    data: list[SessionView]


class SessionTokens(msgspec.Struct):
    """The tokens of a session; null with cookies. Times to live are in seconds."""

    token_type: str
    access_token: str | None
    expires_in: int
    refresh_token: str | None
    refresh_expires_in: int
    user: UserView


class Ended(msgspec.Struct):
    """The identifier of the session that has ended."""

    session: str
