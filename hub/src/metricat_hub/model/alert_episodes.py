"""Assigns events to the episodes of their alerts, and computes how events change episodes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from metricat_hub.model.alert_history import Episode
from metricat_hub.model.alerts import AlertEvent

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from metricat_hub.model.alerts import EventKind

_OPENING = ("pending", "firing")
END_NOT_OBSERVED = {"reason": "the end was not observed"}


def digest(event: AlertEvent) -> bytes:
    """Return a hash of 16 bytes that identifies an event, so that a repeated event is stored only once."""
    details = sorted(event.details.items())
    text = repr((event.at, event.kind, event.fingerprint, event.active_at, event.actor, details))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(slots=True)
class Changes:
    """The rows to store for a batch of events."""

    episodes: dict[int, Episode] = field(default_factory=dict)
    """New and changed episodes by their number."""
    events: list[tuple[int, AlertEvent]] = field(default_factory=list)
    """New events with the number of their episode."""


def changes(
    known: Iterable[Episode], events: Sequence[AlertEvent], stored: Container[bytes], next_number: int
) -> Changes:
    """Return the rows to store for events.

    Args:
        known: for each alert in `events`: its open episodes, those that ended after its first event, and its newest.
        events: the events, in the order in which they happened.
        stored: the digests of the events that are already stored.
        next_number: the number of the next new episode.
    """
    by_alert: dict[str, list[Episode]] = {}
    for one in sorted(known, key=lambda one: (one.started, one.number)):
        by_alert.setdefault(one.fingerprint, []).append(one)
    found = Changes()
    seen: set[bytes] = set()
    for event in events:
        identity = digest(event)
        if identity in stored or identity in seen:
            continue
        seen.add(identity)
        own = by_alert.setdefault(event.fingerprint, [])
        place = _place(event, own)
        is_new = place is None
        if place is None:
            _end_unobserved(event, own, found)
            episode = Episode(
                number=next_number,
                fingerprint=event.fingerprint,
                labels=event.labels,
                started=event.at if event.active_at is None else event.active_at,
                annotations=event.annotations,
                value=event.value,
                source=event.details.get("source", ""),
            )
            next_number += 1
            own.append(episode)
            own.sort(key=lambda one: (one.started, one.number))
            place = own.index(episode)
        after = _changed(own[place], event, is_new=is_new)
        if after is None:
            continue
        own[place] = found.episodes[after.number] = after
        found.events.append((after.number, event))
    return found


def _place(event: AlertEvent, own: Sequence[Episode]) -> int | None:
    """Return the place of the event's episode; None: it begins a new one. The start of a pending alert may move."""
    active = event.active_at
    places = range(len(own) - 1, -1, -1)
    exact = next((place for place in places if own[place].started == active), None)
    if exact is not None:
        return exact
    is_opening = event.kind in _OPENING
    current = next((place for place in places if own[place].resolved is None), None)
    if current is not None and (active is None or active >= own[current].started):
        fired = own[current].fired
        is_next = is_opening and active is not None and fired is not None and active > fired
        return None if is_next else current
    before = next((place for place in places if own[place].started <= event.at and own[place].resolved), None)
    if before is None:
        return None
    ended = own[before].resolved or 0
    if is_opening:
        return before if event.at < ended else None
    return before if active is None or active <= ended else None


def _end_unobserved(event: AlertEvent, own: list[Episode], found: Changes) -> None:
    """End an episode that is still open when a later one begins: no event of its end was recorded.

    An event of an earlier time begins an older episode, which does not end the open one.
    """
    start = event.at if event.active_at is None else event.active_at
    for place, one in enumerate(own):
        if one.resolved is None and one.started < start and event.kind in _OPENING:
            end = AlertEvent(
                start, "resolved", one.fingerprint, one.labels, active_at=one.started, details=END_NOT_OBSERVED
            )
            own[place] = found.episodes[one.number] = replace(one, resolved=start)
            found.events.append((one.number, end))


def _changed(episode: Episode, event: AlertEvent, *, is_new: bool) -> Episode | None:
    """Return the episode after an event; None if the event repeats what the episode has."""
    repeats: dict[EventKind, bool] = {
        "pending": not is_new,
        "firing": episode.fired is not None,
        "resolved": episode.resolved is not None,
    }
    if repeats.get(event.kind, False):
        return None
    at = event.at
    match event.kind:
        case "firing":
            value = episode.value if event.value is None else event.value
            changed = replace(episode, fired=at, value=value, annotations=event.annotations or episode.annotations)
        case "resolved":
            changed = replace(episode, resolved=max(at, episode.fired or episode.started))
        case "acknowledged":
            changed = replace(episode, acknowledged=at, acknowledged_by=event.actor)
        case "unacknowledged":
            changed = replace(episode, acknowledged=None, acknowledged_by="")
        case "silenced":
            changed = replace(episode, silenced=at if episode.silenced is None else episode.silenced)
        case "inhibited":
            changed = replace(episode, inhibited=at if episode.inhibited is None else episode.inhibited)
        case "notified" if event.details.get("outcome") == "failed":
            changed = replace(episode, failed=episode.failed + 1)
        case "notified":
            changed = replace(episode, delivered=episode.delivered + 1)
        case _:
            changed = episode
    return changed
