"""Saved states of alerts."""

from __future__ import annotations

import math
import sqlite3
from typing import TYPE_CHECKING

import pytest

from metricat_hub.evaluation.evaluate import Alert, RuleState
from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.store.alert_states import AlertStates
from metricat_rules.alert_state import AlertState

if TYPE_CHECKING:
    from pathlib import Path

LABELS = (("alertname", "High"), ("node", "ä"))


def state(value: float = 1.5) -> RuleState:
    alert = Alert(LABELS, {"summary": "x"}, value, AlertState(1, 2, None, 4))
    return RuleState({LABELS: alert}, (LABELS, (("__name__", "ALERTS"),)))


def test_states_are_the_same_after_a_restart(tmp_path: Path) -> None:
    states = AlertStates(tmp_path)
    states.save(1_000, "f\0g", {"f\0g\0a": state(), "f\0g\0b": RuleState()})
    states.save(2_000, "f\0g", {"f\0g\0b": state(math.inf)})
    states.save(5_000, "f\0other", {})
    other = AlertStates(tmp_path)  # as after `kill -9`: the first one is not closed
    assert other.load() == {"f\0g\0a": (2_000, state()), "f\0g\0b": (2_000, state(math.inf))}
    other.keep({"f\0g\0b"}, {"f\0other"})
    assert AlertStates(tmp_path).load() == {"f\0g\0b": (2_000, state(math.inf))}


def test_newer_file_is_refused(tmp_path: Path) -> None:
    AlertStates(tmp_path).close()
    with sqlite3.connect(tmp_path / "alerts.sqlite") as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(StoreUnavailableError, match="schema version 99, and this release reads up to 1"):
        AlertStates(tmp_path)


def test_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "alerts.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreUnavailableError, match=r"alerts\.sqlite: "):
        AlertStates(tmp_path)
