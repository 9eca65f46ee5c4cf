"""How often the same thing may be done."""

import time
from collections.abc import Callable

_FORGOTTEN = 60.0


class Pace:
    """Leaves time between two turns of a key; what comes between is done together at the next."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}

    def wait(self, key: str, seconds: float) -> float:
        """Seconds until the key's next turn, so many (60 at most) after its last; 0 takes the turn."""
        now = self._clock()
        self._last = {one: last for one, last in self._last.items() if now - last < _FORGOTTEN}
        if key in self._last and self._last[key] + seconds > now:
            return self._last[key] + seconds - now
        self._last[key] = now
        return 0.0
