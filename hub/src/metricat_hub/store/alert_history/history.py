"""The alert history over a SQL database."""

# ruff: noqa: S608 -- statements consist of constants; values are parameters

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from metricat_hub.model.alert_episodes import changes, digest
from metricat_hub.model.alert_history import Episode, TimelineEvent
from metricat_hub.model.alerts import AlertEvent
from metricat_hub.model.self_metrics import Sample
from metricat_hub.store.alert_history import statistics
from metricat_hub.store.alert_history.conditions import EPISODES, conditions, places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.alert_history import EpisodeFilter, HistoryStatistics, Position
    from metricat_hub.model.labels import Labels
    from metricat_hub.store.alert_history.database import Database, Row, Session

BATCH = 500
"""The most events of one transaction, and the most episodes that one call of `maintain` removes."""
_AT_ONCE = 250
"""The most values of a list in one statement."""
_INACTIVE_KEPT = 7 * 86_400_000
"""Milliseconds for which episodes that did not fire are kept."""
_SIZE_SECONDS = 60.0
_COLUMNS = (
    "number, fingerprint, labels, started, annotations, value, fired, resolved, acknowledged, acknowledged_by, "
    "silenced, inhibited, delivered, failed, source"
)
_STORE = """
INSERT INTO alert_episodes (
    number, fingerprint, labels, started, annotations, value, fired, resolved, acknowledged, acknowledged_by,
    silenced, inhibited, delivered, failed, source, state, name, severity, node, namespace
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (number) DO UPDATE SET
    annotations = excluded.annotations, value = excluded.value, fired = excluded.fired, resolved = excluded.resolved,
    acknowledged = excluded.acknowledged, acknowledged_by = excluded.acknowledged_by, silenced = excluded.silenced,
    inhibited = excluded.inhibited, delivered = excluded.delivered, failed = excluded.failed, state = excluded.state
"""
_ADD_EVENT = """
INSERT INTO alert_events (number, episode, at, kind, actor, receiver, value, details, digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_EVENT = (
    "e.number, alert_episodes.started, e.at, e.kind, alert_episodes.fingerprint, e.actor, e.value, e.details, "
    "alert_episodes.labels"
)
_OLD = """
SELECT number FROM alert_episodes
WHERE (state = 'resolved' AND resolved < ?) OR (state = 'inactive' AND resolved < ?) LIMIT ?
"""
_PAIRS = msgspec.json.Decoder(list[tuple[str, str]])
_TEXTS = msgspec.json.Decoder(dict[str, str])


class SqlHistory:
    """The alert history in a SQL database; implements `AlertHistory`."""

    def __init__(self, database: Database, retention: int) -> None:
        """Keep resolved alerts and their events for `retention` milliseconds."""
        self._database = database
        self._retention = retention
        self._removed = 0
        self._stored = 0
        self._size = 0
        self._size_due = 0.0

    def record(self, events: Sequence[AlertEvent]) -> None:
        """Store events. See `AlertLog.record`."""
        for first in range(0, len(events), BATCH):
            batch = events[first : first + BATCH]
            with self._database.writing() as session:
                found = changes(
                    _known(session, batch), batch, _stored(session, batch), 1 + _last(session, "alert_episodes")
                )
                session.change(_STORE, [self._episode_row(one) for one in found.episodes.values()])
                number = 1 + _last(session, "alert_events")
                session.change(
                    _ADD_EVENT,
                    [self._event_row(number + place, *one) for place, one in enumerate(found.events)],
                )
            self._stored += len(found.events)

    def episodes(self, wanted: EpisodeFilter, after: Position | None, limit: int) -> Sequence[Episode]:
        """Return episodes. See `AlertHistory.episodes`."""
        condition, parameters = conditions(wanted)
        if after is not None:
            condition += " AND (started, number) < (?, ?)"
            parameters += after
        statement = f"SELECT {_COLUMNS} {EPISODES} WHERE {condition} ORDER BY started DESC, number DESC LIMIT ?"
        with self._database.reading() as session:
            return [_episode(row) for row in session.rows(statement, [*parameters, limit])]

    def timeline(self, wanted: EpisodeFilter, after: Position | None, limit: int) -> Sequence[TimelineEvent]:
        """Return events. See `AlertHistory.timeline`."""
        condition, parameters = conditions(wanted)
        if after is not None:
            condition += " AND (e.at, e.number) < (?, ?)"
            parameters += after
        statement = (
            f"SELECT {_EVENT} {EPISODES} JOIN alert_events e ON e.episode = alert_episodes.number "
            f"WHERE {condition} AND e.at BETWEEN ? AND ? ORDER BY e.at DESC, e.number DESC LIMIT ?"
        )
        with self._database.reading() as session:
            rows = session.rows(statement, [*parameters, wanted.start, wanted.end, limit])
        return [_timeline_event(row) for row in rows]

    def latest(self, fingerprint: str, namespaces: frozenset[str] | None) -> Episode | None:
        """Return the newest episode of an alert. See `AlertHistory.latest`."""
        condition, parameters = "fingerprint = ?", [fingerprint]
        if namespaces is not None:
            condition += f" AND namespace IN ({places(namespaces)})"
            parameters += namespaces
        statement = f"SELECT {_COLUMNS} {EPISODES} WHERE {condition} ORDER BY started DESC, number DESC LIMIT 1"
        with self._database.reading() as session:
            rows = session.rows(statement, parameters)
        return _episode(rows[0]) if rows else None

    def statistics(self, wanted: EpisodeFilter, top: int) -> HistoryStatistics:
        """Return statistics. See `AlertHistory.statistics`."""
        with self._database.reading() as session:
            return statistics.statistics(session, wanted, top)

    def open_episodes(self) -> Sequence[Episode]:
        """Return the episodes that have not ended."""
        statement = f"SELECT {_COLUMNS} {EPISODES} WHERE resolved IS NULL"
        with self._database.reading() as session:
            return [_episode(row) for row in session.rows(statement)]

    def maintain(self, now: int) -> int:
        """Remove old episodes with their events, and old events. See `AlertHistory.maintain`."""
        oldest = now - self._retention
        with self._database.writing() as session:
            old = session.rows(_OLD, (oldest, now - min(_INACTIVE_KEPT, self._retention), BATCH))
            session.change("DELETE FROM alert_events WHERE episode = ?", old)
            session.change("DELETE FROM alert_episodes WHERE number = ?", old)
            # Episodes that have not ended for the whole retention have old events, too.
            events = session.rows("SELECT number FROM alert_events WHERE at < ? LIMIT ?", (oldest, BATCH))
            session.change("DELETE FROM alert_events WHERE number = ?", events)
        self._removed += len(old)
        if time.monotonic() >= self._size_due:
            self._size, self._size_due = self._database.size(), time.monotonic() + _SIZE_SECONDS
        return len(old)

    def metrics(self) -> Sequence[Sample]:
        """Return metrics of the history itself."""
        prefix = "metricat_hub_alert_history"
        return [
            Sample(
                f"{prefix}_stored_events",
                "Events of alerts that the alert history stored.",
                self._stored,
                is_counter=True,
            ),
            Sample(
                f"{prefix}_removed_episodes",
                "Old episodes that the alert history removed.",
                self._removed,
                is_counter=True,
            ),
            Sample(f"{prefix}_size_bytes", "Size of the alert history in bytes.", self._size),
        ]

    def number(self, name: str) -> int | None:
        """Return the number that `set_number` stored under a name; None if it stored none."""
        with self._database.reading() as session:
            rows = session.rows("SELECT value FROM alert_history_state WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else None

    def set_number(self, name: str, value: int) -> None:
        """Store a number under a name, for example the time until which the history is complete."""
        statement = (
            "INSERT INTO alert_history_state VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        )
        with self._database.writing() as session:
            session.change(statement, [(name, value)])

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _episode_row(self, one: Episode) -> Sequence[object]:
        text = self._database.text
        return (
            one.number,
            one.fingerprint,
            msgspec.json.encode(one.labels).decode(),
            one.started,
            msgspec.json.encode(dict(one.annotations)).decode(),
            one.value,
            one.fired,
            one.resolved,
            one.acknowledged,
            text(one.acknowledged_by),
            one.silenced,
            one.inhibited,
            one.delivered,
            one.failed,
            text(one.source),
            one.state,
            *(text(one.label(name)) for name in ("alertname", "severity", "node", "namespace")),
        )

    def _event_row(self, number: int, episode: int, event: AlertEvent) -> Sequence[object]:
        text = self._database.text
        details = msgspec.json.encode(dict(event.details)).decode()
        receiver = text(event.details.get("receiver", ""))
        return number, episode, event.at, event.kind, text(event.actor), receiver, event.value, details, digest(event)


def _known(session: Session, events: Sequence[AlertEvent]) -> list[Episode]:
    """Return the episodes that events may belong to: open ones, the newest, and later ones than the first event."""
    found = []
    alerts = list({event.fingerprint for event in events})
    first = min(event.at if event.active_at is None else min(event.at, event.active_at) for event in events)
    for start in range(0, len(alerts), _AT_ONCE):
        part = alerts[start : start + _AT_ONCE]
        statement = (
            f"SELECT {_COLUMNS} {EPISODES} WHERE fingerprint IN ({places(part)}) AND (resolved IS NULL OR "
            "resolved >= ? OR started = (SELECT MAX(started) FROM alert_episodes newest WHERE newest.fingerprint = "
            "alert_episodes.fingerprint))"
        )
        found += [_episode(row) for row in session.rows(statement, [*part, first])]
    return found


def _stored(session: Session, events: Sequence[AlertEvent]) -> set[bytes]:
    """Return the digests of the events that the database has."""
    digests = [digest(event) for event in events]
    found: set[bytes] = set()
    for start in range(0, len(digests), _AT_ONCE):
        part = digests[start : start + _AT_ONCE]
        statement = f"SELECT digest FROM alert_events WHERE digest IN ({places(part)})"
        found.update(bytes(value) for (value,) in session.rows(statement, part))
    return found


def _last(session: Session, table: str) -> int:
    [[number]] = session.rows(f"SELECT COALESCE(MAX(number), 0) FROM {table}")
    return int(number)


def _labels(text: str) -> Labels:
    return tuple(_PAIRS.decode(text))


def _episode(row: Row) -> Episode:
    number, fingerprint, labels, started, annotations, *others = row
    return Episode(number, fingerprint, _labels(labels), started, _TEXTS.decode(annotations), *others)


def _timeline_event(row: Row) -> TimelineEvent:
    number, started, at, kind, fingerprint, actor, value, details, labels = row
    event = AlertEvent(
        at=at,
        kind=kind,
        fingerprint=fingerprint,
        labels=_labels(labels),
        value=value,
        active_at=started,
        actor=actor,
        details=_TEXTS.decode(details),
    )
    return TimelineEvent(number, started, event)
