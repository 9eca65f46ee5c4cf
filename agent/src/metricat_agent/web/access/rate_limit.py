"""A bucket of tokens: each request takes one, and one comes back after each interval."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


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
