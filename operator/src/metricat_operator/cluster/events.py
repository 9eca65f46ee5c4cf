"""Kubernetes events about single objects, fetched where no watched object explains a problem.

The events of a cluster are many and short-lived, so they are not watched. They are listed for single objects, and only
after a problem has lasted for a while: most problems disappear within seconds.
"""

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import structlog

from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.kinds import EVENT
from metricat_operator.facts.model import Event, Manifest

log = structlog.get_logger(__name__)

SETTLE_SECONDS = 15.0
"""Seconds that a state must stay unchanged before its events are fetched, and before they are fetched again."""

_EXPIRY_SECONDS = 3600.0


@dataclass
class _Pending:
    state: Hashable
    next: float
    event: Event | None = None


class Events:
    """Fetches and keeps the latest warning events about objects, by UID."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._pending: dict[str, dict[str, _Pending]] = {}

    async def about(self, target_uid: str, namespace: str, states: Mapping[str, Hashable]) -> dict[str, Event]:
        """Return the known events about objects in a namespace, with at most one request per object.

        `states` maps an object's UID to the state of its problem. While a state changes, a controller makes progress:
        no events are fetched.
        """
        now = self._clock()
        before = self._pending.pop(target_uid, {})
        kept: dict[str, _Pending] = {}
        for uid, state in states.items():
            pending = before.get(uid)
            if pending is None or pending.state != state:
                pending = _Pending(state, now + SETTLE_SECONDS, pending.event if pending else None)
            elif pending.next <= now:
                pending = _Pending(state, now + SETTLE_SECONDS, await self._latest(namespace, uid))
            kept[uid] = pending
        if kept:
            self._pending[target_uid] = kept
            self._forget(now - _EXPIRY_SECONDS)
        return {uid: one.event for uid, one in kept.items() if one.event}

    async def _latest(self, namespace: str, uid: str) -> Event | None:
        fields = f"involvedObject.uid={uid},type=Warning"
        try:
            pages = self._client.pages(EVENT, namespace=namespace, fields=fields)
            found = [event async for events, _ in pages for event in events]
        except ApiError as error:  # the status then lacks only this explanation
            log.warning("cannot list events", namespace=namespace, error=str(error))
            return None
        latest = max(found, key=_when, default=None)
        return Event(latest.get("reason", ""), latest.get("message", "")) if latest else None

    def _forget(self, before: float) -> None:
        """Remove the entries of targets that no longer request events: these targets were deleted."""
        old = [
            target_uid
            for target_uid, asked in self._pending.items()
            if all(one.next < before for one in asked.values())
        ]
        for target_uid in old:
            del self._pending[target_uid]


def _when(event: Manifest) -> str:
    """Return the time of an event as RFC 3339, whose strings sort by time. Its field depends on the writer."""
    last = (event.get("series") or {}).get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return last or str(event["metadata"].get("creationTimestamp", ""))
