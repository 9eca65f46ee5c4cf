"""A bucket of tokens: each request takes one, and one comes back after each interval."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PIECE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def seconds(text: str) -> float:
    """Return a duration as Go writes it, such as ``1m30s``, in seconds; raise ValueError for what is none."""
    if text == "0":
        return 0.0
    pieces = _PIECE.findall(text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        raise ValueError(f"{text} is no duration; write such as 1s, 500ms or 1m30s")
    return sum(float(number) * _UNITS[unit] for number, unit in pieces)


class Bucket:
    """Full at first. Threads share it."""

    def __init__(self, interval: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Hold so many tokens; one comes back in so many seconds."""
        self._interval = interval
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = float(burst)
        self._since = clock()

    def take(self) -> bool:
        """Take a token; tell whether there was one."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._tokens + (now - self._since) / self._interval, self._burst)
            self._since = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
