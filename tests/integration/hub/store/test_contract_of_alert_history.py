"""Tests of the alert history on a real PostgreSQL server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.store.alert_history.postgresql import open_postgresql
from metricat_hub.store.embedded import Settings
from metricat_hub.store.postgresql import PostgresStore
from support.alert_history_contract import EVERYTHING, RETENTION, AlertHistoryContract, alert, whole
from support.hub_store import BEGIN, HOUR, Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_hub.store.alert_history import SqlHistory
    from support.postgresql_server import PostgresServer


@pytest.fixture
def url(postgresql: PostgresServer) -> str:
    """Return the URL of a database with all migrations."""
    url = postgresql.new_database()
    PostgresStore.open(url, Settings(), Clock()).close()
    return url


@pytest.fixture
def history(url: str) -> Iterator[SqlHistory]:
    history = open_postgresql(url, RETENTION, 60_000)
    yield history
    history.close()


class TestPostgresql(AlertHistoryContract):
    @pytest.fixture
    def history(self, url: str) -> Iterator[SqlHistory]:
        history = open_postgresql(url, RETENTION, 60_000)
        yield history
        history.close()


def test_history_works_again_after_its_connections_were_ended(url: str, history: SqlHistory) -> None:
    history.record(whole(BEGIN, HOUR))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    for _ in range(2):
        try:
            history.record(whole(BEGIN, HOUR, alert("Other")))
        except StoreUnavailableError:
            continue
    assert len(history.episodes(EVERYTHING, None, 10)) == 2


def test_two_hubs_may_record_at_the_same_time(url: str, history: SqlHistory) -> None:
    other = open_postgresql(url, RETENTION, 60_000)
    for place in range(5):
        history.record(whole(BEGIN + place * HOUR, 1000, alert("One")))
        other.record(whole(BEGIN + place * HOUR, 1000, alert("Two")))
    other.close()
    assert len(history.episodes(EVERYTHING, None, 100)) == 10
