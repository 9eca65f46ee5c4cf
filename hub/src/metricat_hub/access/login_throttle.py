"""Limits of failed logins.

The hub counts an attempt before it checks the password. A successful login removes the attempt from the count.

Three limits apply to any 15 minutes: few attempts for one user from one address, more attempts from one address for
all users, and many attempts for one user from all addresses. The last limit stops a distributed attack. It is so high
that an attacker with one address cannot lock a user out.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Iterator

_WINDOW = 15 * 60_000
PER_USER_AND_ADDRESS, PER_ADDRESS, PER_USER = 5, 50, 200
_MOST = 10_000
"""The most counts that are kept. The count with the oldest attempt is removed first."""
_Key: TypeAlias = tuple[str, str]


class ThrottledError(HubError):
    """Too many failed logins."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failed logins. Retry after {seconds} seconds.")
        self.seconds = seconds
        """Seconds until the next attempt is accepted."""


class LoginThrottle:
    """Counts failed logins by user name and address. Thread-safe."""

    def __init__(self) -> None:
        self._attempts: dict[_Key, deque[int]] = {}
        self._lock = threading.Lock()

    def begin(self, name: str, address: str, now: int) -> None:
        """Count an attempt; raise `ThrottledError` if it exceeds a limit. `now` is in milliseconds."""
        with self._lock:
            keys = list(_keys(name, address))
            waits = [self._wait(key, most, now) for key, most in keys]
            if wait := max(waits):
                raise ThrottledError(wait)
            for key, _ in keys:
                times = self._attempts.pop(key, deque())
                times.append(now)
                self._attempts[key] = times  # the least recent ones are first
            while len(self._attempts) > _MOST:
                del self._attempts[next(iter(self._attempts))]

    def succeed(self, name: str, address: str) -> None:
        """Remove the last attempt from all counts, and every attempt of this user from this address."""
        with self._lock:
            for index, (key, _) in enumerate(_keys(name, address)):
                times = self._attempts.get(key)
                if times and index:
                    times.pop()
                if not times or not index:
                    self._attempts.pop(key, None)

    def _wait(self, key: _Key, most: int, now: int) -> int:
        """Return the seconds until a key accepts an attempt; 0: now."""
        times = self._attempts.get(key)
        if times is None:
            return 0
        while times and times[0] <= now - _WINDOW:
            times.popleft()
        return (times[0] + _WINDOW - now) // 1000 + 1 if len(times) >= most else 0


def _keys(name: str, address: str) -> Iterator[tuple[_Key, int]]:
    """Yield the keys under which an attempt counts, each with its limit."""
    folded, network = name.casefold()[:100], _network(address)
    yield (folded, network), PER_USER_AND_ADDRESS
    yield ("", network), PER_ADDRESS
    yield (folded, ""), PER_USER


def _network(address: str) -> str:
    """Return the IPv4 address, or the /64 network of an IPv6 address: one client has all addresses of a network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address or "?"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
