"""Access tokens: joserfc reads them, and no token of another key, algorithm, hub, use or time is valid."""

from __future__ import annotations

import base64
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from metricat_hub.access.tokens import MINUTES, AccessClaims, ExpiredTokenError, TokenError
from support.accounts import DAY, MINUTE, Clock, new_accounts

if TYPE_CHECKING:
    from pathlib import Path

    from metricat_hub.access.accounts import SigningKey
    from metricat_hub.access.parts import Accounts


def newest(accounts: Accounts) -> SigningKey:
    return list(accounts.directory.signing_keys.values())[-1]


def verify(accounts: Accounts, token: str) -> AccessClaims:
    return accounts.signer.verify(token, "metricat", AccessClaims)


def forged(accounts: Accounts, header: dict[str, Any], secret: bytes | None = None, **changed: Any) -> str:
    """Return a token with this header and with changed claims, signed with the hub's key or another one."""
    signed = accounts.signer.access_token("user", "session").text
    claims = json.loads(base64.urlsafe_b64decode(signed.split(".")[1] + "==")) | changed
    parts = (json.dumps(part, separators=(",", ":")).encode() for part in (header, claims))
    head, body = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    key = newest(accounts).secret if secret is None else secret
    signature = hmac.digest(key, f"{head}.{body}".encode(), "sha256") if key else b""
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_joserfc_reads_a_token(accounts: Accounts) -> None:
    token = accounts.signer.access_token("user", "session").text
    key = newest(accounts)
    found = jwt.decode(token, OctKey.import_key(key.secret), algorithms=["HS256"])
    assert found.header == {"typ": "JWT", "alg": "HS256", "kid": key.id}
    assert found.claims["aud"] == "metricat"
    assert found.claims["iss"] == f"metricat-hub:{accounts.directory.database.hub_id}"
    assert (found.claims["sub"], found.claims["sid"]) == ("user", "session")
    assert found.claims["exp"] - found.claims["iat"] == MINUTES * 60
    assert len(found.claims["jti"]) == 16
    assert verify(accounts, token).jti == found.claims["jti"]


def test_token_of_joserfc_is_valid_with_the_same_key(accounts: Accounts) -> None:
    claims = verify(accounts, accounts.signer.access_token("user", "session").text)
    key = newest(accounts)
    header = {"typ": "JWT", "alg": "HS256", "kid": key.id}
    content = {name: getattr(claims, name) for name in ("iss", "aud", "iat", "exp", "jti", "sub", "sid")}
    assert verify(accounts, jwt.encode(header, content, OctKey.import_key(key.secret))) == claims


def test_headers_cannot_choose_algorithm_or_key(accounts: Accounts) -> None:
    accounts.signer.rotate()
    kid = newest(accounts).id
    right = {"typ": "JWT", "alg": "HS256", "kid": kid}
    assert verify(accounts, forged(accounts, right)).sub == "user"
    headers: list[tuple[dict[str, Any], bytes | None]] = [
        ({"typ": "JWT", "alg": "none", "kid": kid}, b""),
        ({"typ": "JWT", "alg": "None"}, b""),
        ({"typ": "JWT", "alg": "HS512", "kid": kid}, None),
        ({"typ": "JWT", "alg": "RS256", "kid": kid}, None),
        ({"typ": "JWT", "alg": "HS256", "kid": ""}, b""),
        ({"typ": "JWT", "alg": "HS256", "kid": "../../dev/null"}, b""),
        ({"typ": "JWT", "alg": "HS256", "kid": f"{kid}' UNION SELECT 'x"}, b"x"),
        ({"typ": "JWT", "alg": "HS256"}, None),
        ({"alg": "HS256", "jwk": {"kty": "oct", "k": "eA"}, "kid": kid, "typ": "JWT"}, b"x"),
        ({"alg": "HS256", "jku": "https://attacker.example/", "kid": kid, "typ": "JWT"}, b"x"),
        ({"typ": "JWT", "alg": "HS256", "kid": kid, "crit": ["b64"], "b64": False}, None),
        (right, b"x" * 32),
        (right, b""),
    ]
    for header, secret in headers:
        with pytest.raises(TokenError):
            verify(accounts, forged(accounts, header, secret))


def test_changed_tokens_are_invalid(accounts: Accounts) -> None:
    token = accounts.signer.access_token("user", "session").text
    head, body, signature = token.split(".")
    other = accounts.signer.access_token("other", "session").text.split(".")
    wrong = [
        "",
        "..",
        head,
        f"{head}.{body}",
        f"{head}.{body}.",
        f"{token}.",
        f"{token}=",
        f" {token}",
        f"{head}.{other[1]}.{signature}",
        f"{head}.{body}.{other[2]}",
        f"{head}.{body}.{signature[:-1]}",
        f"{head}.{body}.{signature}é",
        f"{head}.{'a' * 100_000}.{signature}",
    ]
    for text in wrong:
        with pytest.raises(TokenError):
            verify(accounts, text)


def test_claims_of_another_issuer_use_type_or_time_are_invalid(accounts: Accounts, time: Clock) -> None:
    accounts.signer.rotate()
    header = {"typ": "JWT", "alg": "HS256", "kid": newest(accounts).id}
    assert verify(accounts, forged(accounts, header))
    seconds = time.now // 1000
    for changed in (
        {"iss": "metricat-hub:other"},
        {"aud": "metricat-oidc"},
        {"aud": ["metricat"]},
        {"exp": "9999999999"},
        {"exp": None},
        {"sub": 1},
        {"iat": seconds + 61},
        {"exp": seconds},
        {"exp": seconds - 1},
    ):
        with pytest.raises(TokenError):
            verify(accounts, forged(accounts, header, **changed))


def test_token_of_another_hub_is_invalid(accounts: Accounts, tmp_path: Path, time: Clock) -> None:
    (tmp_path / "b").mkdir()
    with new_accounts(tmp_path / "b", time) as other:
        token = other.signer.access_token("user", "session").text
        with pytest.raises(TokenError, match="no key of this hub"):
            verify(accounts, token)
        accounts.directory.database.add_signing_key(newest(other))  # even with the same key
        accounts.directory.read()
        with pytest.raises(TokenError, match="another hub issued it"):
            verify(accounts, token)


def test_token_expires_exactly_and_survives_a_clock_set_back_a_little(accounts: Accounts, time: Clock) -> None:
    token = accounts.signer.access_token("user", "session").text
    issued = time.now
    time.now = issued + MINUTES * MINUTE - 1
    assert verify(accounts, token)
    time.now = issued + MINUTES * MINUTE
    with pytest.raises(ExpiredTokenError):
        verify(accounts, token)
    time.now = issued - MINUTE
    assert verify(accounts, token)
    time.now = issued - 2 * MINUTE
    with pytest.raises(TokenError):
        verify(accounts, token)


def test_rotated_key_verifies_until_its_tokens_expire(accounts: Accounts, time: Clock) -> None:
    accounts.signer.maintain()
    first = newest(accounts)
    token = accounts.signer.access_token("user", "session").text
    time.now += 29 * DAY
    accounts.signer.maintain()
    assert newest(accounts) == first
    time.now += DAY
    late = accounts.signer.access_token("user", "session").text
    accounts.signer.maintain()
    assert newest(accounts).id != first.id
    assert verify(accounts, late)
    assert accounts.signer.access_token("user", "session").text.split(".")[0] != token.split(".")[0]
    time.now += (MINUTES + 2) * MINUTE
    accounts.signer.maintain()
    assert first.id not in accounts.directory.signing_keys
    with pytest.raises(TokenError):
        verify(accounts, late)
