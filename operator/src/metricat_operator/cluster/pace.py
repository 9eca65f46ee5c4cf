"""How often the same thing may be done."""

import time
from collections.abc import Callable


class Pace:
    """One turn for each key in so many seconds; what comes between is done together at the next."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last: dict[str, float] = {}

    def wait(self, key: str) -> float:
        """Seconds until the key's next turn; 0 takes it."""
        now = self._clock()
        self._last = {one: last for one, last in self._last.items() if now - last < self._seconds}
        if key in self._last:
            return self._last[key] + self._seconds - now
        self._last[key] = now
        return 0.0
