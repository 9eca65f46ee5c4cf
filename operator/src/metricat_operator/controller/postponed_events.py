"""Postponed events about conditions that are false for up to two minutes, until Prometheus has loaded a change."""

import time
from collections.abc import Callable, Iterable

from metricat_operator.conditions import Condition, ConditionType, Reason

SETTLE_SECONDS = 120.0
"""The Prometheus Operator and its config-reloader need up to this long to load a change."""

_TEMPORARY = frozenset({Reason.NO_TARGETS, Reason.TARGETS_MISSING, Reason.RULES_NOT_LOADED})
_EXPIRY_SECONDS = 3600.0


class PostponedEvents:
    """Postpones the event of a condition that is false for a temporary reason, until that reason has lasted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: dict[tuple[str, ConditionType], tuple[str, float]] = {}
        """The reason and the time at which the event is due, by the UID of the target and the type."""

    def immediate(self, uid: str, changed: Iterable[Condition]) -> list[Condition]:
        """Return those of the changed conditions that need an event now. Postpone the others."""
        now = self._clock()
        self._due = {key: entry for key, entry in self._due.items() if entry[1] > now - _EXPIRY_SECONDS}
        found = []
        for condition in changed:
            self._due.pop((uid, condition.type), None)
            if condition.holds is False and condition.reason in _TEMPORARY:
                self._due[uid, condition.type] = (condition.reason, now + SETTLE_SECONDS)
            else:
                found.append(condition)
        return found

    def due(self, uid: str, conditions: Iterable[Condition]) -> list[Condition]:
        """Return the conditions whose postponed event is due. Forget those whose reason has ended."""
        now = self._clock()
        found = []
        for condition in conditions:
            key = (uid, condition.type)
            reason, due = self._due.get(key, ("", 0.0))
            if not reason:
                continue
            if condition.reason != reason:
                del self._due[key]
            elif due <= now:
                del self._due[key]
                found.append(condition)
        return found

    def wait(self, uid: str) -> float | None:
        """Return the seconds until the next event of this target is due; None if it has no postponed event."""
        times = [due for (owner, _), (_, due) in self._due.items() if owner == uid]
        return max(min(times) - self._clock(), 0.0) if times else None
