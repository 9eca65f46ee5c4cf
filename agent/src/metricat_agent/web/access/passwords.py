"""Passwords hashed by bcrypt, as ``htpasswd -B`` writes them.

The hash is computed by the `bcrypt` package where it is installed (``pip install metricat-agent[auth]``), else by the
system's libcrypt, which every glibc distribution has and which knows ``$2a$``, ``$2b$`` and ``$2y$``.
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

if TYPE_CHECKING:
    from collections.abc import Callable

_SALT = secrets.token_bytes(16)
_LONGEST = 72
"""Bytes of a password that bcrypt looks at; some libraries refuse more."""


class NoBcryptError(Exception):
    """There is neither the package nor the library; the message says what to install."""


def credentials(authorization: str) -> tuple[str, str]:
    """Take name and password from a header of RFC 7617; empty ones if it is none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = binascii.a2b_base64(encoded.strip()).decode().partition(":")
    except ValueError:
        return "", ""
    return name, password


def fingerprint(password: str) -> str:
    """Return what tells passwords apart in memory without being one."""
    return hashlib.blake2b(password.encode(), key=_SALT).hexdigest()


def same(one: str, other: str) -> bool:
    """Tell whether two texts are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def fits(password: str, hashed: str) -> bool:
    """Tell whether this is the password of the hash."""
    if "\0" in password:
        return False
    made = hasher()(password.encode()[:_LONGEST], hashed.encode())
    return made is not None and hmac.compare_digest(made, hashed.encode())


@lru_cache(maxsize=1)
def hasher() -> Callable[[bytes, bytes], bytes | None]:
    """Return what hashes a password with the salt and cost of a hash; None for a hash it cannot make."""
    try:
        hashpw = importlib.import_module("bcrypt").hashpw
    except ImportError:
        return _libcrypt()

    def by_package(password: bytes, hashed: bytes) -> bytes | None:
        try:
            made: bytes = hashpw(password, hashed)
        except ValueError:  # no hash at all
            return None
        return made

    return by_package


def _libcrypt() -> Callable[[bytes, bytes], bytes | None]:
    import ctypes  # noqa: PLC0415 -- for the few who use passwords
    import ctypes.util  # noqa: PLC0415 -- as above

    for name in ("libcrypt.so.1", "libcrypt.so.2"):
        try:
            library = ctypes.CDLL(name)
            break
        except OSError:
            continue
    else:
        raise NoBcryptError("passwords need bcrypt: pip install 'metricat-agent[auth]', or install libcrypt")
    library.crypt.restype = ctypes.c_char_p
    library.crypt.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
    lock = threading.Lock()  # crypt(3) answers in one buffer

    def by_library(password: bytes, hashed: bytes) -> bytes | None:
        with lock:
            made: bytes | None = library.crypt(password, hashed)
            return made

    return by_library
