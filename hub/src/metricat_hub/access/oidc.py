"""Login with an OpenID Connect provider: authorization code flow with PKCE, state and nonce, by Authlib.

Authlib fetches the provider's metadata and keys once, and the keys again for a token with an unknown `kid`. The
packages are imported at the first login only, because they take 19 MiB of memory.
"""

from __future__ import annotations

import hmac
import importlib.util
from typing import TYPE_CHECKING, Any

from metricat_hub.access.authenticators import AuthenticationError, PermissionDeniedError
from metricat_hub.access.tokens import Claims
from metricat_hub.config.oidc import ANY, ROLES
from metricat_hub.model.errors import AccessUnavailableError, HubError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from metricat_hub.access.principal import Role
    from metricat_hub.access.tokens import Signer
    from metricat_hub.config.oidc import OidcSettings

AUDIENCE = "metricat-oidc"
SECONDS = 600
"""Seconds within which a user must finish the login at the provider."""
_METADATA_AGE = 3_600_000
_TIMEOUT = 10
_SKEW = 60
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Algorithms with public keys. `none`, and HMAC with the client's secret, are never valid."""


class MissingPackagesError(HubError):
    """The packages of OpenID Connect are not installed."""


class Pending(Claims, frozen=True, kw_only=True):
    """A started login. The hub signs it and stores it in a cookie of the browser."""

    state: str
    nonce: str
    verifier: str
    """The code verifier of PKCE."""


class OidcLogin:
    """Logins with one provider."""

    def __init__(self, settings: OidcSettings, external_url: str, signer: Signer, now: Callable[[], int]) -> None:
        """Raise `MissingPackagesError` if the packages are missing. `now` returns milliseconds."""
        if not all(importlib.util.find_spec(name) for name in ("authlib", "httpx2", "joserfc")):
            raise MissingPackagesError(
                "OpenID Connect needs further packages. Install them with: pip install 'metricat-hub[oidc]'"
            )
        self._settings = settings
        self._redirect = f"{external_url}/api/v1/oidc/callback"
        self._signer = signer
        self._now = now
        self._client: Any = None
        self._loaded = 0

    async def start(self) -> tuple[str, str]:
        """Return the URL where the user logs in, and the value of the cookie.

        Raises:
            AccessUnavailableError: the provider does not respond.
        """
        client = await self._provider()
        found = await client.create_authorization_url(self._redirect)
        common = self._signer.common(AUDIENCE, SECONDS)
        pending = Pending(state=found["state"], nonce=found["nonce"], verifier=found["code_verifier"], **common)
        return found["url"], self._signer.sign(pending)

    async def finish(self, pending: Pending, parameters: Mapping[str, str]) -> tuple[str, str, Role]:
        """Return the external account, the user name and the role, from the provider's redirect after a login.

        Raises:
            AuthenticationError: the redirect belongs to another login, the provider refused, or a token is invalid.
            PermissionDeniedError: the settings give the user no role.
            AccessUnavailableError: the provider does not respond.
        """
        if not hmac.compare_digest(pending.state.encode(), parameters.get("state", "").encode()):
            raise AuthenticationError("the response belongs to another login; start again at /api/v1/oidc/login")
        if error := parameters.get("error"):
            raise AuthenticationError(
                f"the provider refused the login: {error[:100]}; start again, or contact the provider's administrator"
            )
        claims = await self._claims(pending, parameters.get("code", ""))
        name = next((str(claims[key]) for key in ("preferred_username", "email", "sub") if claims.get(key)), "")
        return f"{self._settings.issuer} {claims['sub']}", name, self._role(claims)

    async def _claims(self, pending: Pending, code: str) -> Mapping[str, Any]:
        from authlib.integrations.base_client import OAuthError  # noqa: PLC0415 -- as in _provider
        from httpx2 import HTTPError  # noqa: PLC0415
        from joserfc.errors import JoseError  # noqa: PLC0415

        client = await self._provider()
        try:
            tokens = await client.fetch_access_token(self._redirect, code=code, code_verifier=pending.verifier)
            claims: Mapping[str, Any] | None = await client.parse_id_token(tokens, nonce=pending.nonce, leeway=_SKEW)
        except HTTPError as error:
            raise AccessUnavailableError(
                f"cannot get tokens from {self._settings.issuer}: {error}. Retry later."
            ) from None
        except (OAuthError, JoseError, ValueError, KeyError) as error:
            raise AuthenticationError(f"the login is not valid: {error}; start again at /api/v1/oidc/login") from None
        if claims is None or not claims.get("sub"):
            raise AuthenticationError("the provider sent no ID token; request the scope openid with --oidc.scopes")
        return claims

    def _role(self, claims: Mapping[str, Any]) -> Role:
        """Return the most powerful role that the claim gives."""
        given = claims.get(self._settings.role_claim) or ()
        values = {given} if isinstance(given, str) else set(map(str, given)) if isinstance(given, list) else set()
        roles = self._settings.roles
        found = {role for value, role in roles.items() if value == ANY or value in values}
        for role in reversed(ROLES):
            if role in found:
                return role
        raise PermissionDeniedError(
            f"the claim {self._settings.role_claim} has no value that --oidc.roles maps to a role; "
            "ask an administrator to map one of the user's values"
        )

    async def _provider(self) -> Any:
        """Return the client of the provider with its metadata, which are loaded again after an hour."""
        if self._client is not None and 0 <= self._now() - self._loaded < _METADATA_AGE:
            return self._client
        from authlib.integrations.base_client import BaseApp  # noqa: PLC0415 -- 19 MiB, only for OpenID Connect
        from authlib.integrations.base_client.async_app import AsyncOAuth2Mixin  # noqa: PLC0415
        from authlib.integrations.base_client.async_openid import AsyncOpenIDMixin  # noqa: PLC0415
        from authlib.integrations.httpx_client import AsyncOAuth2Client  # noqa: PLC0415
        from httpx2 import HTTPError  # noqa: PLC0415

        kinds = (AsyncOAuth2Mixin, AsyncOpenIDMixin, BaseApp)
        provider: Any = type("Provider", kinds, {"client_cls": AsyncOAuth2Client})

        settings = self._settings
        client: Any = provider(
            None,
            client_id=settings.client_id,
            client_secret=settings.client_secret or None,
            server_metadata_url=f"{settings.issuer}/.well-known/openid-configuration",
            client_kwargs={"scope": settings.scopes, "code_challenge_method": "S256", "timeout": _TIMEOUT},
        )
        if not settings.client_secret:
            client.client_kwargs["token_endpoint_auth_method"] = "none"  # noqa: S105 -- a method
        try:
            metadata = await client.load_server_metadata()
        except (HTTPError, ValueError) as error:
            raise AccessUnavailableError(
                f"cannot read the metadata of {settings.issuer}: {error}. Check --oidc.issuer, or retry later."
            ) from None
        if metadata.get("issuer", "").rstrip("/") != settings.issuer:
            raise AccessUnavailableError(
                f"{settings.issuer} has the issuer {metadata.get('issuer')!r} in its metadata. "
                "Set --oidc.issuer to that value."
            )
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [one for one in offered if one in _ALGORITHMS]
        self._client, self._loaded = client, self._now()
        return client
