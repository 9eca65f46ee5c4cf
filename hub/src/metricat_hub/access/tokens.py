"""Access tokens: JSON Web Tokens (RFC 7519) with HMAC-SHA-256, which only this hub creates and verifies.

The hub never parses a token's header. The header must equal, byte for byte, the one that the hub writes for one of its
keys. So a token cannot choose an algorithm, a key or a URL. The library joserfc would take 11 MiB of memory; the tests
compare the results with it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from metricat_hub.access.accounts import SigningKey

if TYPE_CHECKING:
    from metricat_hub.access.directory import Directory

T = TypeVar("T", bound="Claims")
MINUTES = 10
"""Lifetime of an access token in minutes."""
_LIFETIME = MINUTES * 60
_ROTATION = 30 * 86_400_000
"""Milliseconds after which a new signing key replaces the current one."""
_SKEW = 60
"""Seconds by which the clock may be set back before access tokens become invalid."""
_LONGEST = 4_096
"""The most characters of a token. The hub rejects longer tokens without parsing them."""


class TokenError(Exception):
    """A token is not valid. The message contains the reason."""


class ExpiredTokenError(TokenError):
    """A token has expired."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """The claims that every token has. Times are seconds since 1970-01-01 UTC."""

    iss: str
    aud: str
    iat: int
    exp: int
    jti: str


class AccessClaims(Claims, frozen=True, kw_only=True):
    """The claims of an access token."""

    sub: str
    """The ID of the user."""
    sid: str
    """The ID of the session."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token and its lifetime in seconds."""

    text: str
    seconds: int


class Signer:
    """Signs and verifies tokens with the keys of the database."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._issuer = f"metricat-hub:{directory.database.hub_id}"

    def access_token(self, user: str, session: str) -> AccessToken:
        """Return an access token of a session."""
        common = self.common("metricat", _LIFETIME)
        return AccessToken(self.sign(AccessClaims(sub=user, sid=session, **common)), _LIFETIME)

    def common(self, audience: str, seconds: int) -> dict[str, Any]:
        """Return the claims that every token has; `seconds` is the lifetime of the token."""
        now = self._directory.now() // 1000
        return {
            "iss": self._issuer,
            "aud": audience,
            "iat": now,
            "exp": now + seconds,
            "jti": secrets.token_hex(8),
        }

    def sign(self, claims: Claims) -> str:
        """Return a signed token with these claims."""
        key = self._key()
        signed = f"{_header(key.id)}.{_encoded(msgspec.json.encode(claims))}"
        return f"{signed}.{_encoded(_signature(key, signed))}"

    def verify(self, text: str, audience: str, kind: type[T]) -> T:
        """Return the claims of a token; raise `TokenError` if it is not valid. It does not block."""
        header, _, rest = text.partition(".")
        payload, _, given = rest.partition(".")
        if len(text) > _LONGEST or not text.isascii():
            raise TokenError("it is not an access token of a hub")
        key = next((key for key in self._directory.signing_keys.values() if _header(key.id) == header), None)
        if key is None:
            raise TokenError("its header names no key of this hub")
        if not hmac.compare_digest(_encoded(_signature(key, f"{header}.{payload}")), given):
            raise TokenError("its signature is wrong")
        try:
            claims = msgspec.json.decode(_decoded(payload), type=kind)  # nosemgrep: json-of-others -- the hub wrote it
        except (msgspec.MsgspecError, ValueError, binascii.Error):
            raise TokenError("its claims are of another kind") from None
        now = self._directory.now() / 1000
        if (claims.iss, claims.aud) != (self._issuer, audience) or claims.iat > now + _SKEW:
            raise TokenError("another hub issued it, or it is for another use")
        if claims.exp <= now:
            raise ExpiredTokenError("it has expired")
        return claims

    def rotate(self) -> SigningKey:
        """Replace the signing key. Tokens with an earlier key stay valid until they expire. It blocks."""
        key = SigningKey(secrets.token_hex(6), secrets.token_bytes(32), self._directory.now())
        self._directory.database.add_signing_key(key)
        self._directory.read()
        return key

    def maintain(self) -> None:
        """Create the first signing key, or rotate it when due. It blocks.

        Also remove expired sessions and refresh tokens, and signing keys whose access tokens have all expired.
        """
        now = self._directory.now()
        keys = [key for key in self._directory.signing_keys.values() if key.retired is None]
        if not keys or keys[-1].created <= now - _ROTATION:
            self.rotate()
        self._directory.database.purge(now, now - (_LIFETIME + _SKEW) * 1000)
        self._directory.read()

    def _key(self) -> SigningKey:
        keys = [key for key in self._directory.signing_keys.values() if key.retired is None]
        return keys[-1] if keys else self.rotate()


@lru_cache(maxsize=8)
def _header(key: str) -> str:
    return _encoded(f'{{"typ":"JWT","alg":"HS256","kid":"{key}"}}'.encode())


def _signature(key: SigningKey, signed: str) -> bytes:
    return hmac.digest(key.secret, signed.encode("ascii"), hashlib.sha256)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
