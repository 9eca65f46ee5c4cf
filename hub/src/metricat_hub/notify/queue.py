"""The queue of deliveries in a SQLite file.

The file stores a notification once, and a delivery for each channel of its receiver, which refers to it. An entry
leaves the queue only when its result is in the alert history. If the process ends at any time, the queue loses neither
a message nor a result, and only the running attempt is repeated. See docs/design/0040.
"""

from __future__ import annotations

import logging
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from metricat_hub.model.alerts import ActiveAlert, Notification, Reason
from metricat_hub.model.errors import HubError
from metricat_hub.sqlite_file import SqliteFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

_LOG = logging.getLogger(__name__)
State: TypeAlias = Literal["waiting", "delivered", "dead"]
FILE = "notifications.sqlite"
KEPT_IDENTITIES = 7 * 86_400_000
"""Milliseconds for which the identity of a notification is kept, to detect a repeated one."""
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS notifications (
    id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, queued INTEGER NOT NULL, body BLOB
) STRICT;
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, notification INTEGER NOT NULL, receiver TEXT NOT NULL, channel TEXT NOT NULL,
    group_key TEXT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL, reported INTEGER NOT NULL,
    queued INTEGER NOT NULL, due INTEGER NOT NULL, attempts INTEGER NOT NULL, updated INTEGER NOT NULL,
    error TEXT NOT NULL, progress TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS repeated (
    receiver TEXT NOT NULL, channel TEXT NOT NULL, group_key TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (receiver, channel, group_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_of_notification ON deliveries (notification);
CREATE INDEX IF NOT EXISTS deliveries_by_state ON deliveries (state, id);
"""
_COLUMNS = (
    "id, notification, receiver, channel, group_key, title, queued, due, "
    "state, reported, attempts, updated, error, progress"
)
_INSERT = f"INSERT INTO deliveries ({_COLUMNS}) VALUES ({', '.join('?' * 14)}) RETURNING id"  # noqa: S608 -- constants


class NoDeliveryError(HubError):
    """No dead letter has the identifier."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A delivery: one notification for one channel. Times are in milliseconds since 1970-01-01 UTC."""

    id: int
    notification: int
    """The ID of the notification in the file."""
    receiver: str
    channel: str
    group_key: str
    title: str
    queued: int
    due: int
    """When the next attempt is due."""
    state: State = "waiting"
    is_reported: bool = False
    """Whether the result is in the alert history."""
    attempts: int = 0
    updated: int = 0
    """When the last attempt ended."""
    error: str = ""
    progress: str = ""


class _SavedAlert(msgspec.Struct, array_like=True):
    labels: tuple[tuple[str, str], ...]
    annotations: dict[str, str]
    value: float
    active_at: int
    fired_at: int | None
    resolved_at: int | None
    expression: str


class _Saved(msgspec.Struct, array_like=True):
    identity: str
    receiver: str
    group_key: str
    group_labels: dict[str, str]
    alerts: list[_SavedAlert]
    reason: Reason
    at: int
    url: str


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Saved)


class Queue:
    """The queue of deliveries in a data directory. Thread-safe; its methods block.

    All methods raise `StoreUnavailableError` if the file cannot be read or written, for example on a full disk.
    """

    def __init__(self, folder: Path) -> None:
        """Open or create the file.

        Raises:
            StoreUnavailableError: the file cannot be opened, or a newer release wrote it.
        """
        self.damaged = 0
        """Number of damaged notifications."""
        self._file = SqliteFile(folder / FILE, _SCHEMA, _VERSION)

    def add(self, notification: Notification, title: str, channels: Sequence[str], now: int) -> Sequence[Entry]:
        """Store a notification; return its deliveries, or an empty list if the notification was added before."""
        with self._file.transaction() as db:
            found = db.execute(
                "INSERT OR IGNORE INTO notifications (identity, queued, body) VALUES (?, ?, ?) RETURNING id",
                (notification.identity, now, encode(notification)),
            ).fetchone()
            if found is None:
                return []
            added = []
            for channel in channels:
                entry = Entry(0, found[0], notification.receiver, channel, notification.group_key, title, now, now)
                [(number,)] = db.execute(_INSERT, (None, *_values(entry)[1:])).fetchall()
                added.append(replace(entry, id=number))
            return added

    def waiting(self) -> list[Entry]:
        """Return the deliveries that wait for an attempt, or for the alert history, the oldest first."""
        return self._select("state = 'waiting' OR reported = 0 ORDER BY id")

    def notification(self, entry: Entry) -> Notification | None:
        """Return the notification of a delivery; None if it is damaged or missing."""
        with self._file.reading() as db:
            found = db.execute("SELECT body FROM notifications WHERE id = ?", (entry.notification,)).fetchone()
        try:
            return None if found is None or found[0] is None else decode(found[0])
        except (zlib.error, msgspec.MsgspecError):
            self.damaged += 1
            return None

    def update(self, entry: Entry) -> None:
        """Store the state of a delivery after an attempt."""
        with self._file.transaction() as db:
            db.execute(
                "UPDATE deliveries SET state = ?, reported = ?, due = ?, attempts = ?, updated = ?, error = ?, "
                "progress = ? WHERE id = ?",
                (
                    *(entry.state, int(entry.is_reported), entry.due, entry.attempts, entry.updated),
                    *(entry.error, entry.progress, entry.id),
                ),
            )

    def remove(self, entry: Entry) -> None:
        """Remove a delivery; with the last delivery of a notification, also remove the text of the notification."""
        with self._file.transaction() as db:
            db.execute("DELETE FROM deliveries WHERE id = ?", (entry.id,))
            _drop_body(db, entry.notification)

    def dead(self, after: int = 0, most: int = 100) -> list[Entry]:
        """Return at most `most` dead letters with an ID below `after`, the newest first; 0: begin with the newest.

        Dead letters whose result is not in the alert history yet are left out.
        """
        if after:
            return self._select("state = 'dead' AND reported = 1 AND id < ? ORDER BY id DESC LIMIT ?", after, most)
        return self._select("state = 'dead' AND reported = 1 ORDER BY id DESC LIMIT ?", most)

    def dead_letter(self, number: int) -> Entry:
        """Return the dead letter with an ID.

        Raises:
            NoDeliveryError: no dead letter has this ID.
        """
        found = self._select("state = 'dead' AND reported = 1 AND id = ?", number)
        if not found:
            raise NoDeliveryError(
                f"no dead letter has the identifier {number}; list them with: GET /api/v1/notifications/dead-letters"
            )
        return found[0]

    def count_dead(self) -> int:
        """Return the number of dead letters."""
        with self._file.reading() as db:
            [(count,)] = db.execute("SELECT count(*) FROM deliveries WHERE state = 'dead'")
        return int(count)

    def clean(self, before: int, most_dead: int) -> None:
        """Remove dead letters older than `before`, and all but the newest `most_dead`.

        Dead letters whose result is not in the alert history yet remain.
        """
        with self._file.transaction() as db:
            gone = db.execute(
                "SELECT id, notification FROM deliveries WHERE state = 'dead' AND reported = 1 AND (updated < ? OR id "
                "NOT IN (SELECT id FROM deliveries WHERE state = 'dead' ORDER BY id DESC LIMIT ?))",
                (before, most_dead),
            ).fetchall()
            for number, notification in gone:
                db.execute("DELETE FROM deliveries WHERE id = ?", (number,))
                _drop_body(db, notification)

    def forget_identities(self, before: int) -> None:
        """Remove the identities of notifications that were queued before a time (milliseconds) and have no delivery."""
        with self._file.transaction() as db:
            db.execute("DELETE FROM notifications WHERE body IS NULL AND queued < ?", (before,))

    def repeat(self, receiver: str, channel: str, notification: Notification) -> None:
        """Store the newest notification of a group, so that the channel sends its firing alerts at an interval."""
        values = (receiver, channel, notification.group_key, encode(notification))
        with self._file.transaction() as db:
            db.execute("INSERT OR REPLACE INTO repeated VALUES (?, ?, ?, ?)", values)

    def end_repeating(self, receiver: str, channel: str, group_key: str) -> None:
        """Stop repeating the alerts of a group: remove its stored notification."""
        with self._file.transaction() as db:
            values = (receiver, channel, group_key)
            db.execute("DELETE FROM repeated WHERE receiver = ? AND channel = ? AND group_key = ?", values)

    def repeated(self, receiver: str, channel: str) -> list[Notification]:
        """Return the stored notifications whose alerts a channel sends again. It counts and removes damaged ones."""
        with self._file.reading() as db:
            query = "SELECT group_key, body FROM repeated WHERE receiver = ? AND channel = ? ORDER BY group_key"
            rows = db.execute(query, (receiver, channel)).fetchall()
        found = []
        for group_key, body in rows:
            try:
                found.append(decode(body))
            except (zlib.error, msgspec.MsgspecError):
                self.damaged += 1
                _LOG.error(
                    "removed a damaged stored notification of receiver %s, channel %s; its alerts are sent again at "
                    "their next change",
                    receiver,
                    channel,
                )
                self.end_repeating(receiver, channel, group_key)
        return found

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _select(self, where: str, *values: object) -> list[Entry]:
        with self._file.reading() as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM deliveries WHERE {where}", values).fetchall()  # noqa: S608 -- constants
        return [_entry(row) for row in rows]


def encode(notification: Notification) -> bytes:
    """Encode a notification as bytes."""
    alerts = [
        _SavedAlert(
            *(one.labels, dict(one.annotations), one.value, one.active_at, one.fired_at),
            *(one.resolved_at, one.expression),
        )
        for one in notification.alerts
    ]
    saved = _Saved(
        *(notification.identity, notification.receiver, notification.group_key, dict(notification.group_labels)),
        *(alerts, notification.reason, notification.at, notification.url),
    )
    return zlib.compress(_ENCODER.encode(saved), 1)


def decode(data: bytes) -> Notification:
    """Decode a notification from bytes."""
    saved = _DECODER.decode(zlib.decompress(data))  # nosemgrep: decompression-without-limit -- the hub's own file
    alerts = [
        ActiveAlert(
            *(one.labels, one.annotations, one.value, one.active_at, one.fired_at, one.resolved_at, one.expression)
        )
        for one in saved.alerts
    ]
    return Notification(
        *(saved.identity, saved.receiver, saved.group_key, saved.group_labels, alerts, saved.reason),
        *(saved.at, saved.url),
    )


def _entry(row: Sequence[Any]) -> Entry:
    entry = Entry(*row)
    return replace(entry, is_reported=bool(entry.is_reported))


def _values(entry: Entry) -> tuple[object, ...]:
    return (
        *(entry.id, entry.notification, entry.receiver, entry.channel, entry.group_key, entry.title),
        *(entry.queued, entry.due, entry.state, int(entry.is_reported), entry.attempts, entry.updated),
        *(entry.error, entry.progress),
    )


def _drop_body(db: sqlite3.Connection, notification: int) -> None:
    """Keep only the identity of a notification without deliveries."""
    db.execute(
        "UPDATE notifications SET body = NULL WHERE id = ? AND NOT EXISTS "
        "(SELECT 1 FROM deliveries WHERE notification = ?)",
        (notification, notification),
    )
