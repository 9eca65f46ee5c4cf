"""The settings of OpenID Connect, validated."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import urlsplit

from metricat_hub.model.server import checked_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.config.loader import RawSettings

OidcRole: TypeAlias = Literal["viewer", "editor", "admin"]
ROLES: tuple[OidcRole, ...] = ("viewer", "editor", "admin")
ANY = "*"
"""The name in --oidc.roles that matches every user."""


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """The OpenID Connect provider, the client registered with it, and the roles of its users."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: str
    role_claim: str
    roles: Mapping[str, OidcRole]


def external_url(raw: RawSettings) -> str:
    """Return the URL of the hub for browsers, without a trailing slash; empty: not configured."""
    value = raw.get("web.external-url")
    if value.text and not _is_host_url(value.text):
        raise value.error("not a URL of a host; write for example https://metricat.example.com")
    return value.text.rstrip("/")


def _is_host_url(text: str) -> bool:
    """Return whether a text is an HTTP URL without a path."""
    try:
        return not urlsplit(checked_url(text)).path and "?" not in text
    except ValueError:
        return False


def parse(raw: RawSettings) -> OidcSettings | None:
    """Parse the settings of OpenID Connect; None: it is not configured. Raise `SettingError` for an invalid value."""
    issuer = raw.get("oidc.issuer")
    others = ("oidc.client-id", "oidc.client-secret-file", "oidc.roles")
    if not issuer.text:
        if given := next((name for name in others if raw.get(name).text), ""):
            raise raw.get(given).error("it requires --oidc.issuer; set the URL of the provider")
        return None
    if not _is_safe(issuer.text):
        raise issuer.error(
            "not an HTTPS URL; write for example https://id.example.com (HTTP is allowed for loopback only)"
        )
    for name in ("web.external-url", "oidc.client-id", "oidc.roles"):
        if not raw.get(name).text:
            raise issuer.error(f"it requires --{name}; see docs/hub/accounts.md for an example")
    return OidcSettings(
        issuer=issuer.text.rstrip("/"),
        client_id=raw.get("oidc.client-id").text,
        client_secret=_secret(raw),
        scopes=_scopes(raw),
        role_claim=raw.get("oidc.role-claim").text,
        roles=_roles(raw),
    )


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(checked_url(url))
    except ValueError:
        return False
    host = parts.hostname or ""
    if parts.scheme == "https":
        return not parts.query
    try:
        return parts.scheme == "http" and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def _secret(raw: RawSettings) -> str:
    value = raw.get("oidc.client-secret-file")
    if not value.text:
        return ""
    try:
        secret = Path(value.text).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "the file is not text"
        raise value.error(f"cannot be read: {why}; set the path of a file with the client secret") from None
    if not secret:
        raise value.error("the file is empty; write the client secret into the file")
    return secret


def _scopes(raw: RawSettings) -> str:
    value = raw.get("oidc.scopes")
    if "openid" not in value.text.split():
        raise value.error("the scope openid is missing; write for example openid profile email")
    return value.text


def _roles(raw: RawSettings) -> dict[str, OidcRole]:
    value = raw.get("oidc.roles")
    found: dict[str, OidcRole] = {}
    for pair in (pair.strip() for text in value.texts for pair in text.split(",")):
        claim, equals, name = pair.rpartition("=")
        role = next((role for role in ROLES if role == name), None)
        if not equals or not claim or role is None:
            raise value.error(f"invalid pair {pair!r}; write VALUE=ROLE, for example metricat-admins=admin")
        if found.setdefault(claim, role) != role:
            raise value.error(f"{claim} has the roles {found[claim]} and {role}; remove one of them")
    return found
