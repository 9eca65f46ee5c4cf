"""States of alerts in a SQLite file, so that a restart neither forgets an alert nor starts it again."""

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
    """The saved states. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        """Open or create the file.

        Raises:
            StoreUnavailableError: the file cannot be opened, or a newer release wrote it.
        """
        self._file = SqliteFile(folder / _FILE, _SCHEMA, _VERSION, synchronous="normal")

    def load(self) -> dict[str, tuple[int, RuleState]]:
        """Return the time of the last evaluation and the state of each rule, by the rule's identity."""
        with self._file.reading() as db:
            rows = db.execute("SELECT rule, evaluated, state FROM rule_states").fetchall()
        return {rule: (evaluated, _loaded(_DECODER.decode(state))) for rule, evaluated, state in rows}

    def save(self, evaluated: int, states: Mapping[str, RuleState]) -> None:
        """Store the states of the rules of a group after an evaluation, in one transaction.

        Raises:
            StoreUnavailableError: the states cannot be stored now, for example because the disk is full.
        """
        rows = [(rule, evaluated, _ENCODER.encode(_saved(state))) for rule, state in states.items()]
        with self._file.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO rule_states VALUES (?, ?, ?)", rows)

    def keep(self, rules: set[str]) -> None:
        """Delete the states of all other rules."""
        with self._file.transaction() as db:
            found = [rule for (rule,) in db.execute("SELECT rule FROM rule_states")]
            gone = [(rule,) for rule in found if rule not in rules]
            db.executemany("DELETE FROM rule_states WHERE rule = ?", gone)

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
    return RuleState(alerts, frozenset(saved.series))
