"""Sessions: login, refresh, and end. A session has access tokens, which are valid for minutes, and one refresh token.

A refresh token is valid for one use, and each use replaces it. A second use means that two clients have the token, and
that one of them may have stolen it. The hub then ends the session. See docs/design/0033-accounts.md.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from anyio import to_thread

from metricat_hub.access import passwords
from metricat_hub.access.accounts import ConflictError, Session, User
from metricat_hub.access.authenticators import AuthenticationError
from metricat_hub.access.login_throttle import LoginThrottle
from metricat_hub.access.principal import Principal, user_principal
from metricat_hub.access.tokens import AccessClaims, AccessToken, ExpiredTokenError, Signer, TokenError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.access.credentials import Credentials
    from metricat_hub.access.directory import Directory

_DAY = 86_400_000
REFRESH = 7 * _DAY
"""Milliseconds after which an unused refresh token expires."""
LONGEST = 30 * _DAY
"""Milliseconds after which a session ends, even if it is refreshed."""
_MOST = 50
"""The most sessions of one user. A further login ends the oldest session."""
_GRACE = 10_000
"""Milliseconds in which a replaced token does not end the session: two tabs may refresh at the same time."""
_LONGEST_CLIENT = 300
"""The most characters of a `User-Agent` that are stored."""
_TOKEN = re.compile(r"metricat-refresh_[A-Za-z0-9_-]{43}")


class SessionError(AuthenticationError):
    """The user name, the password or the refresh token is wrong, or the session has ended. The user must log in."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that a client gets at a login and at each refresh."""

    user: User
    session: Session
    access: AccessToken
    refresh: str
    refresh_seconds: int
    """Lifetime of the refresh token in seconds."""


class Sessions:
    """The sessions of all users. Implements `Authenticator` for access tokens."""

    def __init__(self, directory: Directory, signer: Signer, threads: passwords.PasswordThreads) -> None:
        self._directory = directory
        self._database = directory.database
        self._signer = signer
        self._threads = threads
        self.throttle = LoginThrottle()

    async def log_in(self, name: str, password: str, address: str, client: str = "") -> Tokens:
        """Start a session; `client` is the `User-Agent`.

        Raises:
            SessionError: the name or the password is wrong, or the user is disabled. The error does not name the cause.
            ThrottledError: too many attempts failed.
            TooManyLoginsError: too many logins wait.
        """
        return await to_thread.run_sync(self.start, await self.verify(name, password, address), client)

    async def verify(self, name: str, password: str, address: str) -> User:
        """Return the user if the password is valid. The errors are those of `log_in`.

        An unknown user name takes as long as a wrong password, so that clients cannot find the names of users.
        """
        self.throttle.begin(name, address, self._directory.now())
        user = await self._threads.run(partial(self._check_password, name, password))
        if user is None:
            raise SessionError("the user name or the password is wrong; send both again")
        self.throttle.succeed(name, address)
        return user

    def _check_password(self, name: str, password: str) -> User | None:
        self._directory.refresh()
        user = self._directory.user(name)
        hashed = self._database.password(user.id if user else "")
        right = passwords.matches(password, hashed)
        return user if right and user is not None and user.disabled is None else None

    def start(self, user: User, client: str = "") -> Tokens:
        """Start a session of an authenticated user. It blocks."""
        now = self._directory.now()
        session = Session(secrets.token_hex(16), user.id, now, now + LONGEST, client[:_LONGEST_CLIENT])
        refresh = _new_token()
        self._database.add_session(session, _digest(refresh), now + REFRESH, _MOST)
        self._directory.read()
        return self._tokens(user, session, refresh)

    async def refresh(self, token: str) -> Tokens:
        """Replace a refresh token, and return the new tokens.

        Raises:
            SessionError: the token is not valid, has expired or was used twice, or its session has ended.
            ConflictError: another request has replaced the token in the last 10 seconds.
        """
        return await to_thread.run_sync(self._refresh, token)

    def _refresh(self, token: str) -> Tokens:
        if not _TOKEN.fullmatch(token):
            raise SessionError("the refresh token is not valid; log in again")
        now = self._directory.now()
        new = _new_token()
        result, identifier, used = self._database.rotate(_digest(token), _digest(new), now, now + REFRESH)
        if result == "reused" and 0 <= now - used < _GRACE:
            raise ConflictError("another request has just replaced this refresh token; use the token of its response")
        if result == "reused":
            self._database.end_session(identifier)
            self._directory.read()
            raise SessionError("the refresh token was used twice, so the session has ended; log in again")
        if result != "rotated":
            raise SessionError("the refresh token has expired, or its session has ended; log in again")
        self._directory.refresh()
        session = self._directory.sessions.get(identifier)
        user = self._directory.users.get(session.user) if session else None
        if session is None or user is None or user.disabled is not None:
            raise SessionError("the session has ended; log in again")
        return self._tokens(user, session, new)

    async def end(self, session: str) -> None:
        """End a session immediately."""
        await to_thread.run_sync(self._end, session)

    def _end(self, session: str) -> None:
        self._database.end_session(session)
        self._directory.read()

    def of_user(self, name: str) -> Sequence[Session]:
        """Return the sessions of a user that have not ended, the newest first."""
        user = self._directory.user(name)
        found = [one for one in self._directory.sessions.values() if user is not None and one.user == user.id]
        now = self._directory.now()
        return sorted((one for one in found if one.expires > now), key=lambda one: (-one.created, one.id))

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        """Return the user of an access token; raise `AuthenticationError` if it is not valid."""
        token = credentials.bearer or credentials.cookie
        if token.count(".") != 2:
            return None
        try:
            claims = self._signer.verify(token, "metricat", AccessClaims)
        except ExpiredTokenError:
            raise AuthenticationError(
                "the access token has expired; get a new one with: POST /api/v1/sessions/refresh"
            ) from None
        except TokenError as error:
            if credentials.bearer:  # a later authenticator may accept tokens of other issuers
                return None
            raise AuthenticationError(f"the access token is not valid: {error}; log in again") from None
        session = self._directory.sessions.get(claims.sid)
        user = self._directory.users.get(claims.sub)
        if session is None or session.user != claims.sub or session.expires <= self._directory.now():
            raise AuthenticationError("the session has ended; log in again")
        if user is None or user.disabled is not None:
            raise AuthenticationError("the user is disabled or was removed; ask an administrator")
        return user_principal(user.name, user.role, claims.sid)

    def _tokens(self, user: User, session: Session, refresh: str) -> Tokens:
        left = min(REFRESH, session.expires - self._directory.now())
        return Tokens(user, session, self._signer.access_token(user.id, session.id), refresh, left // 1000)


def _new_token() -> str:
    return f"metricat-refresh_{secrets.token_urlsafe(32)}"


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
