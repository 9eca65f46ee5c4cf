"""Servers that the tests of stores share."""

from collections.abc import Iterator

import pytest

from support.postgresql_server import PostgresServer


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.close()
