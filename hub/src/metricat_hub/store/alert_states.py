"""States of alerts in a SQLite file, so that a restart neither forgets an alert nor starts it again."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import msgspec

from metricat_hub.evaluation.evaluate import Alert, RuleState
from metricat_hub.model.errors import StoreUnavailableError
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
    """The saved states. One thread at a time may use it."""

    def __init__(self, folder: Path) -> None:
        """Open or create the file.

        Raises:
            StoreUnavailableError: the file cannot be opened, or a newer release wrote it.
        """
        self._path = folder / _FILE
        try:
            self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            [(version,)] = self._connection.execute("PRAGMA user_version")
            if version > _VERSION:
                raise StoreUnavailableError(
                    f"{self._path} has the schema version {version}, and this release reads up to {_VERSION}. "
                    "Install the newer release."
                )
            self._connection.executescript(_SCHEMA)
            self._connection.execute(f"PRAGMA user_version={_VERSION}")
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"{self._path}: {error}. Check the file and its directory.") from None

    def load(self) -> dict[str, tuple[int, RuleState]]:
        """Return the time of the last evaluation and the state of each rule, by the rule's identity."""
        try:
            rows = self._connection.execute("SELECT rule, evaluated, state FROM rule_states").fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"{self._path}: {error}. Check the file.") from None
        return {rule: (evaluated, _loaded(_DECODER.decode(state))) for rule, evaluated, state in rows}

    def save(self, evaluated: int, states: Mapping[str, RuleState]) -> None:
        """Store the states of the rules of a group after an evaluation, in one transaction.

        Raises:
            StoreUnavailableError: the states cannot be stored now, for example because the disk is full.
        """
        rows = [(rule, evaluated, _ENCODER.encode(_saved(state))) for rule, state in states.items()]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR REPLACE INTO rule_states VALUES (?, ?, ?)", rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise StoreUnavailableError(f"{self._path}: {error}. The next evaluation retries.") from None

    def keep(self, rules: set[str]) -> None:
        """Delete the states of all other rules."""
        try:
            found = [rule for (rule,) in self._connection.execute("SELECT rule FROM rule_states")]
            gone = [(rule,) for rule in found if rule not in rules]
            self._connection.executemany("DELETE FROM rule_states WHERE rule = ?", gone)
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"{self._path}: {error}. Check the file.") from None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


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
    return RuleState(alerts, frozenset(saved.series))
