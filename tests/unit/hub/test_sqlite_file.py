"""A SQLite file of the data directory."""

import gc
import sqlite3
from pathlib import Path

import pytest

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.sqlite_file import SqliteFile

SCHEMA = "CREATE TABLE IF NOT EXISTS numbers (value INTEGER) STRICT;"


def values(file: SqliteFile) -> list[int]:
    with file.reading() as db:
        return [value for (value,) in db.execute("SELECT value FROM numbers ORDER BY value")]


def test_only_the_owner_reads_the_file(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "a.sqlite", SCHEMA, 1)
    file.close()
    assert (tmp_path / "a.sqlite").stat().st_mode & 0o777 == 0o600


def insert(file: SqliteFile, *values: object) -> None:
    """Insert values in one transaction; a value None ends it with an error that is not SQLite's."""
    with file.transaction() as db:
        for value in values:
            if value is None:
                raise KeyError
            db.execute("INSERT INTO numbers VALUES (?)", (value,))


def test_transaction_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "a.sqlite", SCHEMA, 1)
    insert(file, 1)
    with pytest.raises(KeyError):
        insert(file, 2, None)
    with pytest.raises(StoreUnavailableError, match=r"a\.sqlite: .*Check the file"):
        insert(file, 3, "text")
    file.close()
    reopened = SqliteFile(tmp_path / "a.sqlite", SCHEMA, 2)
    assert values(reopened) == [1]
    reopened.close()


@pytest.mark.parametrize("content", ["newer", "damaged", "directory"])
def test_file_that_cannot_be_opened_is_named_and_closed(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.sqlite"
    if content == "newer":
        SqliteFile(path, SCHEMA, 5).close()
    elif content == "damaged":
        path.write_bytes(b"no database" * 1000)
    else:
        path.mkdir()
    with pytest.raises(StoreUnavailableError, match=r"a\.sqlite"):
        SqliteFile(path, SCHEMA, 4)
    gc.collect()  # a connection that is still open would become an error of the test
    if content == "newer":
        db = sqlite3.connect(path)
        assert db.execute("PRAGMA user_version").fetchone() == (5,)
        db.close()
