"""The history of alerts in SQLite."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.store.alert_history import SqlHistory, open_sqlite
from support.alert_history_contract import EVERYTHING, RETENTION, AlertHistoryContract, whole
from support.hub_store import BEGIN, HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class TestSqlite(AlertHistoryContract):
    @pytest.fixture
    def history(self, tmp_path: Path) -> Iterator[SqlHistory]:
        history = open_sqlite(tmp_path, RETENTION)
        yield history
        history.close()


def test_recorded_events_survive_a_kill(tmp_path: Path) -> None:
    killed = open_sqlite(tmp_path, RETENTION)
    killed.record(whole(BEGIN, HOUR))
    other = open_sqlite(tmp_path, RETENTION)  # the first one is not closed
    assert len(other.timeline(EVERYTHING, None, 10)) == 3
    other.close()
    killed.close()


def test_newer_file_is_refused(tmp_path: Path) -> None:
    open_sqlite(tmp_path, RETENTION).close()
    with sqlite3.connect(tmp_path / "alert-history.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreUnavailableError, match="schema version 99, and this release reads up to 2"):
        open_sqlite(tmp_path, RETENTION)


def test_file_of_version_1_is_migrated(tmp_path: Path) -> None:
    history = open_sqlite(tmp_path, RETENTION)
    history.record(whole(BEGIN, HOUR))
    before = history.statistics(EVERYTHING, 10)
    history.close()
    with sqlite3.connect(tmp_path / "alert-history.sqlite") as connection:
        connection.executescript("DROP INDEX alert_episodes_statistics; PRAGMA user_version = 1")
    connection.close()
    history = open_sqlite(tmp_path, RETENTION)
    assert history.statistics(EVERYTHING, 10) == before
    history.close()
    with sqlite3.connect(tmp_path / "alert-history.sqlite") as connection:
        [plan] = connection.execute(
            "EXPLAIN QUERY PLAN SELECT fingerprint, MAX(name), SUM(failed) FROM alert_episodes "
            "WHERE started <= 1 AND (resolved IS NULL OR resolved >= 0) AND fired IS NOT NULL GROUP BY fingerprint"
        ).fetchall()
    connection.close()
    assert plan[-1] == "SCAN alert_episodes USING COVERING INDEX alert_episodes_statistics"


def test_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "alert-history.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreUnavailableError, match=r"alert-history\.sqlite: file is not a database"):
        open_sqlite(tmp_path, RETENTION)


def test_removed_episodes_free_the_disk(tmp_path: Path) -> None:
    history = open_sqlite(tmp_path, RETENTION)
    for place in range(20):
        history.record([one for part in range(100) for one in whole(BEGIN + (100 * place + part) * HOUR, 1000)])
    full = _size(history, BEGIN)
    while history.maintain(BEGIN + 2 * RETENTION):
        pass
    history.close()
    history = open_sqlite(tmp_path, RETENTION)
    assert _size(history, BEGIN) < full / 4
    history.close()


def _size(history: SqlHistory, now: int) -> float:
    history.maintain(now)
    return next(one.value for one in history.metrics() if one.name == "metricat_hub_alert_history_size_bytes")
