"""States of alerts in a SQLite file, so that a restart neither loses an alert nor restarts its `for` duration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from metricat_hub.evaluation.evaluate import Alert, RuleState
from metricat_hub.sqlite_file import SqliteFile
from metricat_rules.alert_state import AlertState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FILE = "alerts.sqlite"
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS rule_states (
    rule TEXT PRIMARY KEY, evaluated INTEGER NOT NULL, state BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS evaluations (
    rule_group TEXT PRIMARY KEY, evaluated INTEGER NOT NULL
) WITHOUT ROWID;
"""


class _SavedAlert(msgspec.Struct, array_like=True):
    labels: tuple[tuple[str, str], ...]
    annotations: dict[str, str]
    value: float
    active: float
    fired: float | None
    missing: float | None
    resolved: float | None


class _SavedState(msgspec.Struct, array_like=True):
    alerts: list[_SavedAlert]
    series: list[tuple[tuple[str, str], ...]]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_SavedState)


class AlertStates:
    """The stored states of rules. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        """Open or create the file.

        Raises:
            StoreUnavailableError: the file cannot be opened, or a newer release wrote it.
        """
        self._file = SqliteFile(folder / _FILE, _SCHEMA, _VERSION, synchronous="normal")

    def load(self) -> dict[str, tuple[int, RuleState]]:
        """Return time in milliseconds of the last evaluation and state of each rule, by the rule's identity.

        The identity of a rule is the identity of its group, a zero byte, and its own part.
        """
        with self._file.reading() as db:
            rows = db.execute("SELECT rule, evaluated, state FROM rule_states").fetchall()
            groups = dict(db.execute("SELECT rule_group, evaluated FROM evaluations").fetchall())
        found = {}
        for rule, evaluated, state in rows:
            group = "\0".join(rule.split("\0")[:2])
            found[rule] = max(evaluated, groups.get(group, 0)), _loaded(_DECODER.decode(state))
        return found

    def save(self, evaluated: int, group: str, states: Mapping[str, RuleState]) -> None:
        """Store the time of a group's evaluation, and the changed states of its rules, in one transaction.

        Raises:
            StoreUnavailableError: the states cannot be stored now, for example because the disk is full.
        """
        rows = [(rule, evaluated, _ENCODER.encode(_saved(state))) for rule, state in states.items()]
        # A single statement is its own transaction.
        with self._file.transaction() if rows else self._file.reading() as db:
            db.execute("INSERT OR REPLACE INTO evaluations VALUES (?, ?)", (group, evaluated))
            if rows:
                db.executemany("INSERT OR REPLACE INTO rule_states VALUES (?, ?, ?)", rows)

    def keep(self, rules: set[str], groups: set[str]) -> None:
        """Delete the states of all rules except `rules`, and the evaluation times of all groups except `groups`."""
        with self._file.transaction() as db:
            for table, column, kept in (("rule_states", "rule", rules), ("evaluations", "rule_group", groups)):
                found = [one for (one,) in db.execute(f"SELECT {column} FROM {table}")]  # noqa: S608 -- constants
                gone = [(one,) for one in found if one not in kept]
                db.executemany(f"DELETE FROM {table} WHERE {column} = ?", gone)  # noqa: S608 -- as above

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _saved(state: RuleState) -> _SavedState:
    return _SavedState(
        [
            _SavedAlert(
                one.labels,
                dict(one.annotations),
                one.value,
                one.state.active,
                one.state.fired,
                one.state.missing,
                one.state.resolved,
            )
            for one in state.alerts.values()
        ],
        list(state.series),
    )


def _loaded(saved: _SavedState) -> RuleState:
    alerts = {
        one.labels: Alert(
            one.labels, one.annotations, one.value, AlertState(one.active, one.fired, one.missing, one.resolved)
        )
        for one in saved.alerts
    }
    return RuleState(alerts, tuple(saved.series))
