"""Passwords hashed with argon2id, in PHC format.

The parameters are the second choice of OWASP's Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 thread.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from typing import TYPE_CHECKING, TypeVar

from anyio import CapacityLimiter, to_thread

from metricat_hub.access.accounts import AccountError
from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Callable

    from argon2 import PasswordHasher

T = TypeVar("T")
SHORTEST, LONGEST = 10, 1_000
_RUNNING = 2
"""Hashes that are computed at the same time. Each takes 19 MiB of memory and one CPU."""
_WAITING = 32
"""Logins that wait for a thread. Further logins get 503."""


class TooManyLoginsError(HubError):
    """Too many logins are waiting for a thread that hashes passwords. The client should retry later."""


def check_new(password: str, name: str) -> None:
    """Raise `AccountError` if a password is too weak for the user with this name."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise AccountError(f"the password has {len(password)} characters; choose {SHORTEST} to {LONGEST}")
    if len(set(password)) < 5 or name.casefold() in password.casefold():
        raise AccountError(
            "the password is easy to guess; choose one with at least 5 different characters, without the user's name"
        )


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password. It takes about 0.1 s."""
    try:
        return _hasher().hash(_normal(password))
    finally:
        _release_memory()


def matches(password: str, hashed: str) -> bool:
    """Return whether the password matches the hash. An empty hash takes as long, and returns False."""
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 -- as in _hasher

    if len(password) > LONGEST:
        password = ""
    unknown = _unknown_user()
    try:
        right = _hasher().verify(hashed or unknown, _normal(password))
    except (InvalidHashError, VerificationError):
        return False
    finally:
        _release_memory()
    return right and bool(hashed)


def is_outdated(hashed: str) -> bool:
    """Return whether a hash was computed with parameters other than the current ones."""
    return _hasher().check_needs_rehash(hashed)


class PasswordThreads:
    """Runs work that hashes passwords in a bounded number of threads."""

    def __init__(self) -> None:
        self._limiter: CapacityLimiter | None = None
        self._logins = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Return the result of the work; raise `TooManyLoginsError` if too much other work waits."""
        if self._logins >= _RUNNING + _WAITING:
            raise TooManyLoginsError("too many logins are in progress. Retry later.")
        if self._limiter is None:
            self._limiter = CapacityLimiter(_RUNNING)  # needs a running event loop
        self._logins += 1
        try:
            return await to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._logins -= 1


def _normal(password: str) -> bytes:
    """Return the password in Unicode's normal form, which is the same for all keyboards (NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _release_memory() -> None:
    """Return the 19 MiB of a hash to the kernel: glibc would keep them for later allocations."""
    if trim := _malloc_trim():
        trim(0)


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    """Return glibc's function; None with another C library."""
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415 -- as in _hasher

    return getattr(ctypes.CDLL(None), "malloc_trim", None)


@functools.cache
def _hasher() -> PasswordHasher:
    """Return the hasher. It is imported at the first login only."""
    from argon2 import PasswordHasher  # noqa: PLC0415 -- most processes check no password

    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


@functools.cache
def _unknown_user() -> str:
    """Return a hash that is checked for unknown users, so that they take as long as known ones."""
    return _hasher().hash(b"no user has this password")
