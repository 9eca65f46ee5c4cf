"""The state of routing in a SQLite file: groups, silences, maintenance windows and acknowledgements.

A step of routing (`dispatch.state.Step`) stores its new state, its notifications and its events in one transaction. A
notification stays in the file until the delivery queue has stored it, an event until the alert history has stored it.
So a crash neither loses nor duplicates one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from metricat_hub.dispatch.matchers import AlertMatchers
from metricat_hub.dispatch.silences import Acknowledgement, MaintenanceWindow, Silence
from metricat_hub.dispatch.state import Group, Mark, Member, Sent, State
from metricat_hub.model.alerts import ActiveAlert, AlertEvent, Notification, fingerprint
from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.model.ports import Matcher
from metricat_hub.sqlite_file import SqliteFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from metricat_hub.dispatch.state import Step
    from metricat_hub.model.labels import Labels

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
FILE = "routing.sqlite"
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS groups (receiver TEXT, key TEXT, body BLOB NOT NULL, PRIMARY KEY (receiver, key)) STRICT;
CREATE TABLE IF NOT EXISTS alerts (fingerprint TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS marks (fingerprint TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS recent (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS silences (id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS windows (id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS acknowledgements (fingerprint TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, body BLOB NOT NULL) STRICT;
"""
MOST_EVENTS = 100_000
"""The most events that wait for the alert history. Above it, the oldest are dropped."""


def _encoded(value: object) -> object:
    """Return matchers as lists; `msgspec` encodes all other values, data classes as mappings."""
    if isinstance(value, AlertMatchers):
        return [(one.name, one.operator, one.value) for one in value.matchers]
    raise TypeError(type(value))


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_encoded)
_DECODER = msgspec.msgpack.Decoder()


class RoutingState:
    """The file `routing.sqlite`. Thread-safe.

    The methods block, and raise `StoreUnavailableError` if the file cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        """Open or create the file.

        Raises:
            StoreUnavailableError: the file cannot be opened, or a newer release wrote it.
        """
        self.damaged = 0
        """Number of damaged notifications and events that were removed."""
        self._path = folder / FILE
        self._file = SqliteFile(self._path, _SCHEMA, _VERSION)

    def load(self) -> State:
        """Return the state of the last step. The alerts in the state have no annotations."""
        groups = [_group(one) for one in self._all("groups")]
        alerts = [_alert(one) for one in self._all("alerts")]
        marks = self._all("marks")
        recent: dict[str, Any] = next(iter(self._all("recent")), _recent(State()))
        return State(
            {one.identity: one for one in groups},
            {fingerprint(one.labels): one for one in alerts},
            {name: Mark(tuple(silences), inhibited_by) for name, silences, inhibited_by in marks},
            frozenset(recent["acknowledged"]),
            {receiver: tuple(times) for receiver, times in recent["created"].items()},
            {(receiver, key, name): until for receiver, key, name, until in recent["cooldowns"]},
        )

    def save(self, before: State, step: Step) -> None:
        """Store the changes of a step, with its notifications and events, in one transaction."""
        after = step.state
        with self._file.transaction() as db:
            changed, gone = _difference(before.groups, after.groups)
            db.executemany(
                "INSERT OR REPLACE INTO groups VALUES (?, ?, ?)",
                [(*one.identity, _ENCODER.encode(one)) for one in changed.values()],
            )
            db.executemany("DELETE FROM groups WHERE receiver = ? AND key = ?", gone)
            self._save_alerts(db, before, after)
            self._save_marks(db, before, after)
            recent = _recent(after)
            if recent != _recent(before):
                db.execute("INSERT OR REPLACE INTO recent VALUES (1, ?)", (_ENCODER.encode(recent),))
            db.executemany("DELETE FROM acknowledgements WHERE fingerprint = ?", [(one,) for one in step.ended])
            _add_to_outbox(db, "notification", step.notifications)
            _add_to_outbox(db, "event", step.events)

    @staticmethod
    def _save_alerts(db: sqlite3.Connection, before: State, after: State) -> None:
        """Store the alerts that are new; of known ones, the value and the texts do not matter."""
        added = [
            (name, _ENCODER.encode(_bare(alert)))
            for name, alert in after.alerts.items()
            if (known := before.alerts.get(name)) is None
            or (known.active_at, known.fired_at, known.resolved_at)
            != (alert.active_at, alert.fired_at, alert.resolved_at)
        ]
        db.executemany("INSERT OR REPLACE INTO alerts VALUES (?, ?)", added)
        gone = [(name,) for name in before.alerts.keys() - after.alerts.keys()]
        db.executemany("DELETE FROM alerts WHERE fingerprint = ?", gone)

    @staticmethod
    def _save_marks(db: sqlite3.Connection, before: State, after: State) -> None:
        changed = [
            (name, _ENCODER.encode((name, mark.silences, mark.inhibited_by)))
            for name, mark in after.marks.items()
            if before.marks.get(name) != mark
        ]
        db.executemany("INSERT OR REPLACE INTO marks VALUES (?, ?)", changed)
        gone = [(name,) for name in before.marks.keys() - after.marks.keys()]
        db.executemany("DELETE FROM marks WHERE fingerprint = ?", gone)

    def notifications(self, most: int = 100) -> Sequence[tuple[int, Notification]]:
        """Return the first notifications that the delivery queue may not have stored yet, with their numbers."""
        return self._outbox("notification", most, _notification)

    def events(self, most: int = 1000) -> Sequence[tuple[int, AlertEvent]]:
        """Return the first events that the alert history may not have stored yet, with their numbers."""
        return self._outbox("event", most, _event)

    def drop(self, numbers: Iterable[int]) -> None:
        """Remove notifications or events by their numbers."""
        with self._file.transaction() as db:
            db.executemany("DELETE FROM outbox WHERE id = ?", [(one,) for one in numbers])

    def drop_old_events(self) -> int:
        """Remove the oldest events above `MOST_EVENTS`; return how many."""
        with self._file.transaction() as db:
            found = db.execute(
                "DELETE FROM outbox WHERE kind = 'event' AND id <= (SELECT id FROM outbox WHERE kind = 'event' "
                "ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (MOST_EVENTS,),
            )
            return found.rowcount

    def silences(self) -> Sequence[Silence]:
        """Return all silences."""
        return [_silence(one) for one in self._all("silences")]

    def windows(self) -> Sequence[MaintenanceWindow]:
        """Return all maintenance windows."""
        return [_window(one) for one in self._all("windows")]

    def acknowledgements(self) -> Sequence[Acknowledgement]:
        """Return all acknowledgements."""
        return [Acknowledgement(**one) for one in self._all("acknowledgements")]

    def put_silence(self, silence: Silence) -> None:
        """Store a silence."""
        self._put("INSERT OR REPLACE INTO silences VALUES (?, ?)", silence.id, silence)

    def put_window(self, window: MaintenanceWindow) -> None:
        """Store a maintenance window."""
        self._put("INSERT OR REPLACE INTO windows VALUES (?, ?)", window.id, window)

    def remove_silences(self, identifiers: Iterable[str]) -> None:
        """Remove silences."""
        with self._file.transaction() as db:
            db.executemany("DELETE FROM silences WHERE id = ?", [(one,) for one in identifiers])

    def remove_window(self, identifier: str) -> None:
        """Remove a maintenance window."""
        with self._file.transaction() as db:
            db.execute("DELETE FROM windows WHERE id = ?", (identifier,))

    def acknowledge(self, acknowledgement: Acknowledgement, event: AlertEvent) -> None:
        """Store an acknowledgement, and the event for the alert history."""
        with self._file.transaction() as db:
            values = acknowledgement.fingerprint, _ENCODER.encode(acknowledgement)
            db.execute("INSERT OR REPLACE INTO acknowledgements VALUES (?, ?)", values)
            _add_to_outbox(db, "event", [event])

    def unacknowledge(self, identifier: str, event: AlertEvent) -> None:
        """Remove the acknowledgement of the alert with a fingerprint, and store the event for the alert history."""
        with self._file.transaction() as db:
            db.execute("DELETE FROM acknowledgements WHERE fingerprint = ?", (identifier,))
            _add_to_outbox(db, "event", [event])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _put(self, statement: str, identifier: str, value: object) -> None:
        with self._file.transaction() as db:
            db.execute(statement, (identifier, _ENCODER.encode(value)))

    def _all(self, table: str) -> list[Any]:
        with self._file.reading() as db:
            rows = db.execute(f"SELECT body FROM {table} ORDER BY rowid").fetchall()  # noqa: S608 -- a constant
        try:
            return [_DECODER.decode(body) for (body,) in rows]
        except msgspec.MsgspecError:
            raise StoreUnavailableError(
                f"{self._path}: the table {table} is damaged. Stop the hub. Restore the file from a backup, or move it "
                "away, so that the hub creates an empty file."
            ) from None

    def _outbox(self, kind: str, most: int, convert: Callable[[Any], T]) -> list[tuple[int, T]]:
        """Return the first entries of a kind. Damaged ones are counted and removed, so that they delay no other."""
        query = "SELECT id, body FROM outbox WHERE kind = ? ORDER BY id LIMIT ?"
        with self._file.reading() as db:
            rows = db.execute(query, (kind, most)).fetchall()
        found, damaged = [], []
        for number, body in rows:
            try:
                found.append((number, convert(_DECODER.decode(body))))
            except (msgspec.MsgspecError, TypeError, ValueError, KeyError):
                damaged.append(number)
        if damaged:
            _LOG.error("%s: %d damaged entries of the kind %s are lost. Check the disk", self._path, len(damaged), kind)
            self.damaged += len(damaged)
            self.drop(damaged)
            return found or self._outbox(kind, most, convert)
        return found


def _difference(
    before: Mapping[tuple[str, str], Group], after: Mapping[tuple[str, str], Group]
) -> tuple[dict[tuple[str, str], Group], set[tuple[str, str]]]:
    """Return the groups that have changed, and the identities of those that no longer exist."""
    changed = {key: one for key, one in after.items() if before.get(key) is not one}
    return changed, before.keys() - after.keys()


def _bare(alert: ActiveAlert) -> ActiveAlert:
    return ActiveAlert(
        alert.labels, {}, alert.value, alert.active_at, alert.fired_at, alert.resolved_at, alert.expression
    )


def _recent(state: State) -> dict[str, object]:
    """Return the part of a state that belongs to no single group."""
    return {
        "acknowledged": sorted(state.acknowledged),
        "created": {receiver: list(times) for receiver, times in state.created.items()},
        "cooldowns": [(*key, until) for key, until in state.cooldowns.items()],
    }


def _group(value: dict[str, Any]) -> Group:
    sent, escalation = value["sent"], value["escalation"]
    return Group(
        **{
            **value,
            "members": {name: Member(**one) for name, one in value["members"].items()},
            "sent": sent and Sent(sent["at"], frozenset(sent["firing"]), frozenset(sent["resolved"])),
            "escalation": escalation and tuple(escalation),
        }
    )


def _alert(value: dict[str, Any]) -> ActiveAlert:
    return ActiveAlert(**{**value, "labels": _labels(value)})


def _notification(value: dict[str, Any]) -> Notification:
    return Notification(**{**value, "alerts": tuple(_alert(one) for one in value["alerts"])})


def _event(value: dict[str, Any]) -> AlertEvent:
    return AlertEvent(**{**value, "labels": _labels(value)})


def _silence(value: dict[str, Any]) -> Silence:
    return Silence(**{**value, "matchers": _matchers(value)})


def _window(value: dict[str, Any]) -> MaintenanceWindow:
    return MaintenanceWindow(**{**value, "matchers": _matchers(value), "weekdays": tuple(value["weekdays"])})


def _labels(value: dict[str, Any]) -> Labels:
    return tuple((name, text) for name, text in value["labels"])


def _matchers(value: dict[str, Any]) -> AlertMatchers:
    return AlertMatchers(Matcher(*one) for one in value["matchers"])


def _add_to_outbox(db: sqlite3.Connection, kind: str, values: Iterable[object]) -> None:
    db.executemany("INSERT INTO outbox (kind, body) VALUES (?, ?)", [(kind, _ENCODER.encode(one)) for one in values])
