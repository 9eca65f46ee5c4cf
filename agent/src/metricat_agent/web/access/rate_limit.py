"""Rate limit: a token bucket."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class TokenBucket:
    """A bucket that is full at first. Each request takes a token; one token returns per interval. Thread-safe."""

    def __init__(self, interval: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`burst` is the number of tokens, `interval` the seconds until one returns."""
        self._interval = interval
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = float(burst)
        self._updated = clock()

    def take(self) -> bool:
        """Take a token; return whether there was one."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._tokens + (now - self._updated) / self._interval, self._burst)
            self._updated = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
