"""Throttle of status writes: during a rollout, every agent that starts changes the status."""

import time
from collections.abc import Callable
from dataclasses import dataclass

_URGENT_SECONDS = 3.0
"""Least time between two writes of one status when a condition changed."""

_COUNTS_SECONDS = 10.0
"""Delay of a write when only the numbers of a rollout changed: most rollouts end within it and need one write."""

_COUNTS_PER_ENTRY_SECONDS = 1.0
"""Delay added for each waiting target: the numbers of simultaneous rollouts are written one after another."""

_COUNTS_MAX_SECONDS = 50.0
"""Longest delay of a write of numbers, however many targets wait."""

_EXPIRY_SECONDS = 60.0


@dataclass
class _Entry:
    written: float = float("-inf")
    differs_since: float | None = None
    """Time since when the written status differs from the computed one."""

    @property
    def latest(self) -> float:
        return self.written if self.differs_since is None else max(self.written, self.differs_since)


class StatusThrottle:
    """Spaces the writes of each key; the next write covers all changes in between."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def unchanged(self, key: str) -> None:
        """Record that the key has nothing to write."""
        if entry := self._entries.get(key):
            entry.differs_since = None

    def wait(self, key: str, *, urgent: bool) -> float:
        """Return the seconds until the key may be written. With 0 the caller must write now."""
        now = self._clock()
        entry = self._entries.setdefault(key, _Entry())
        entry.differs_since = now if entry.differs_since is None else entry.differs_since
        due = entry.written + _URGENT_SECONDS if urgent else entry.differs_since + self._counts_delay()
        if due > now:
            return due - now
        self._entries[key] = _Entry(written=now)
        self._entries = {one: entry for one, entry in self._entries.items() if entry.latest > now - _EXPIRY_SECONDS}
        return 0.0

    def _counts_delay(self) -> float:
        waiting = sum(entry.differs_since is not None for entry in self._entries.values())
        return min(_COUNTS_MAX_SECONDS, max(_COUNTS_SECONDS, _COUNTS_PER_ENTRY_SECONDS * waiting))
