"""When a status that changes again and again, as agents start one by one, is written."""

import time
from collections.abc import Callable
from dataclasses import dataclass

_PRESSING_SECONDS = 3.0
"""From one writing to the next, where a condition changed."""

_COUNTS_SECONDS = 10.0
"""From the first change on, where only the numbers of a rollout do: most rollouts are over by then, and one writing
tells all."""

_COUNTS_APART_SECONDS = 1.0
"""Between two such writings of any: where hundreds of targets roll out at once, their numbers wait for one another."""

_COUNTS_LATEST_SECONDS = 50.0
"""But no longer, however many they are."""

_FORGOTTEN_SECONDS = 60.0


@dataclass
class _Turn:
    written: float = float("-inf")
    differs: float | None = None
    """Since when what is written is not what would be."""

    @property
    def latest(self) -> float:
        return self.written if self.differs is None else max(self.written, self.differs)


class StatusThrottle:
    """Leaves time between two writings of a key; what comes between is done together at the next."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turns: dict[str, _Turn] = {}

    def same(self, key: str) -> None:
        """There is nothing to write."""
        if turn := self._turns.get(key):
            turn.differs = None

    def wait(self, key: str, *, pressing: bool) -> float:
        """Seconds until the key may be written; 0 takes the turn."""
        now = self._clock()
        turn = self._turns.setdefault(key, _Turn())
        turn.differs = now if turn.differs is None else turn.differs
        due = turn.written + _PRESSING_SECONDS if pressing else turn.differs + self._patience()
        if due > now:
            return due - now
        self._turns[key] = _Turn(written=now)
        self._turns = {one: turn for one, turn in self._turns.items() if turn.latest > now - _FORGOTTEN_SECONDS}
        return 0.0

    def _patience(self) -> float:
        waiting = sum(turn.differs is not None for turn in self._turns.values())
        return min(_COUNTS_LATEST_SECONDS, max(_COUNTS_SECONDS, _COUNTS_APART_SECONDS * waiting))
