"""Passwords hashed with bcrypt, in the format of ``htpasswd -B``.

The `bcrypt` package computes the hash if it is installed (``pip install metricat-agent[auth]``). Otherwise the system's
libcrypt does. Most distributions have libxcrypt's, which supports ``$2a$``, ``$2b$`` and ``$2y$``.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import importlib
import secrets
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from metricat_agent.host.ascii_text import BLANKS

if TYPE_CHECKING:
    from collections.abc import Callable

_SALT = secrets.token_bytes(16)
_LONGEST = 72
"""Number of bytes of a password that bcrypt uses. Some libraries reject a longer password."""


class NoBcryptError(Exception):
    """Neither the package `bcrypt` nor libcrypt is installed. The message has the remedy."""


def credentials(authorization: str) -> tuple[str, str]:
    """Return user name and password of an Authorization header (RFC 7617); empty strings if it is invalid."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = binascii.a2b_base64(encoded.strip(BLANKS)).decode().partition(":")
    except ValueError:
        return "", ""
    return name, password


def fingerprint(password: str) -> str:
    """Return a keyed hash of a password, to keep in memory instead of the password."""
    return hashlib.blake2b(password.encode(), key=_SALT).hexdigest()


def equal(one: str, other: str) -> bool:
    """Return whether two texts are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def matches(password: str, hashed: str) -> bool:
    """Return whether the first 72 bytes of a password, which bcrypt uses, match a hash; raise `NoBcryptError`."""
    if "\0" in password:
        return False
    made = hasher()(password.encode()[:_LONGEST], hashed.encode())
    return made is not None and hmac.compare_digest(made, hashed.encode())


@lru_cache(maxsize=1)
def hasher() -> Callable[[bytes, bytes], bytes | None]:
    """Return a function that hashes a password with the salt and cost of a hash; None means an invalid hash.

    Raises `NoBcryptError`.
    """
    try:
        hashpw = importlib.import_module("bcrypt").hashpw
    except ImportError:
        return _libcrypt()

    def by_package(password: bytes, hashed: bytes) -> bytes | None:
        try:
            made: bytes = hashpw(password, hashed)
        except ValueError:  # not a hash
            return None
        return made

    return by_package


def _libcrypt() -> Callable[[bytes, bytes], bytes | None]:
    import ctypes  # noqa: PLC0415 -- only for password files
    import ctypes.util  # noqa: PLC0415 -- as above

    for name in ("libcrypt.so.1", "libcrypt.so.2"):
        try:
            library = ctypes.CDLL(name)
            break
        except OSError:
            continue
    else:
        raise NoBcryptError("passwords need bcrypt; run pip install 'metricat-agent[auth]', or install libcrypt")
    library.crypt.restype = ctypes.c_char_p
    library.crypt.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
    lock = threading.Lock()  # crypt(3) returns a static buffer

    def by_library(password: bytes, hashed: bytes) -> bytes | None:
        with lock:
            made: bytes | None = library.crypt(password, hashed)
            return made

    return by_library
