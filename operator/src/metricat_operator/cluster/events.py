"""What controllers and kubelets say of objects: Kubernetes' events, asked for where nothing else can tell.

All events of a cluster are many and short-lived, so they are not watched. They are listed about single objects, and
only once a question has stood for a while: most answer themselves within seconds.
"""

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import structlog

from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.kinds import EVENT
from metricat_operator.facts.model import Event, Manifest

log = structlog.get_logger(__name__)

PATIENCE = 15.0
"""For so many seconds a question has to stand unchanged before it is asked, and again before it is asked again."""

_FORGOTTEN = 3600.0


@dataclass
class _Question:
    state: Hashable
    next: float
    answer: Event | None = None


class Events:
    """The latest warnings about objects, by UID."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._standing: dict[str, dict[str, _Question]] = {}

    async def about(self, asker: str, namespace: str, questions: Mapping[str, Hashable]) -> dict[str, Event]:
        """What is known by now about the objects with these UIDs, in this namespace; one request each at most.

        A question's state is what would make it another question: while it changes, something is being done.
        """
        now = self._clock()
        before = self._standing.pop(asker, {})
        standing: dict[str, _Question] = {}
        for uid, state in questions.items():
            known = before.get(uid)
            if known is None or known.state != state:
                known = _Question(state, now + PATIENCE, known.answer if known else None)
            elif known.next <= now:
                known = _Question(state, now + PATIENCE, await self._latest(namespace, uid))
            standing[uid] = known
        if standing:
            self._standing[asker] = standing
            self._forget(now - _FORGOTTEN)
        return {uid: one.answer for uid, one in standing.items() if one.answer}

    async def _latest(self, namespace: str, uid: str) -> Event | None:
        fields = f"involvedObject.uid={uid},type=Warning"
        try:
            pages = self._client.pages(EVENT, namespace=namespace, fields=fields)
            found = [event async for events, _ in pages for event in events]
        except ApiError as error:  # it only makes the status less telling
            log.warning("cannot list events", namespace=namespace, error=str(error))
            return None
        latest = max(found, key=_when, default=None)
        return Event(latest.get("reason", ""), latest.get("message", "")) if latest else None

    def _forget(self, before: float) -> None:
        """Those who no longer ask: their targets are gone."""
        old = [asker for asker, asked in self._standing.items() if all(one.next < before for one in asked.values())]
        for asker in old:
            del self._standing[asker]


def _when(event: Manifest) -> str:
    """RFC 3339, so that texts sort as times; which field holds it depends on who wrote the event."""
    last = (event.get("series") or {}).get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return last or str(event["metadata"].get("creationTimestamp", ""))
