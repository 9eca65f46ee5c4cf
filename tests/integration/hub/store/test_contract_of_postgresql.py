"""The contract of stores, over a real PostgreSQL server without extensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metricat_hub.store.postgresql import PostgresStore
from support.store_contract import Backend, StoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.postgresql_server import PostgresServer


class TestPostgresStore(StoreContract):
    @pytest.fixture
    def backend(self, postgresql: PostgresServer) -> Iterator[Backend]:
        url = postgresql.new_database()
        backend = Backend(lambda settings, clock: PostgresStore.open(url, settings, clock))
        yield backend
        backend.close()
