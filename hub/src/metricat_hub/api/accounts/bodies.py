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
    """A login with name and password."""

    name: Name
    password: Password
    cookie: Annotated[bool, Meta(description="Return the tokens as cookies instead of in the body.")] = False


class Refresh(msgspec.Struct, forbid_unknown_fields=True):
    """The refresh token to replace; empty: the cookie has the token."""

    refresh_token: Annotated[str, Meta(max_length=200)] = ""


class Setup(msgspec.Struct, forbid_unknown_fields=True):
    """The first administrator, and the setup token that the hub prints at its start."""

    token: Annotated[str, Meta(max_length=200)]
    name: Name
    password: Password


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """The current and the new password of the user."""

    old: Password
    new: Password


class NewUser(msgspec.Struct, forbid_unknown_fields=True):
    """A user to add."""

    name: Name
    password: Password
    role: Role = "viewer"


class UserChange(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of a user. Null keeps the current value."""

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
        Meta(
            description="Name of the user who owns the key; null: the client; empty: the hub. Only for administrators."
        ),
    ] = None


class UserView(msgspec.Struct):
    """A user."""

    name: str
    role: Role
    state: Literal["active", "disabled"]
    login: Annotated[Literal["password", "oidc"], Meta(description="How the user logs in.")]
    created: Time
    version: Annotated[
        int, Meta(description="Send it as If-Match with a change. The change fails if the user has a newer version.")
    ]


class Users(msgspec.Struct):
    """All users, sorted by name."""

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
    last_used: Annotated[Time | None, Meta(description="When the key was last used, to the minute; null: never.")]


class Keys(msgspec.Struct):
    """The API keys that the client may manage, the oldest first."""

    data: list[KeyView]


class CreatedKey(msgspec.Struct):
    """A new API key. No later response contains the text of the key."""

    key: str
    entry: KeyView


class Me(msgspec.Struct):
    """The client that sent the request."""

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
        Meta(
            description="The program that sends notifications. Only the hub has acknowledgements and maintenance "
            "windows."
        ),
    ]


class SessionView(msgspec.Struct):
    """A session of the user."""

    id: str
    client: Annotated[str, Meta(description="The `User-Agent` of the login; empty: unknown.")]
    created: Time
    expires: Annotated[
        Time, Meta(description="When the session ends at the latest. An unused session ends after a week.")
    ]
    current: Annotated[bool, Meta(description="Whether the request belongs to this session.")]


class SessionViews(msgspec.Struct):
    """The sessions of the user, the newest first."""

    data: list[SessionView]


class SessionTokens(msgspec.Struct):
    """The tokens of a session. They are null if the response sets them as cookies. Lifetimes are in seconds."""

    token_type: str
    access_token: str | None
    expires_in: int
    refresh_token: str | None
    refresh_expires_in: int
    user: UserView


class Ended(msgspec.Struct):
    """The identifier of the session that has ended."""

    session: str
