import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from metricat_hub.model.errors import StoreLockedError, StoreUnavailableError
from metricat_hub.store.embedded import Settings, database
from support.hub_store import BEGIN, labels, named, open_store, read, write

A = labels("up", node="a")


def test_second_process_gets_the_number_of_the_first(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(StoreLockedError, match=f"process {os.getpid()} has the store open"):
        open_store(tmp_path)
    code = (
        "import sys, pathlib; from metricat_hub.store.embedded import *; EmbeddedStore.open(pathlib.Path(sys.argv[1]))"
    )
    second = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert f"StoreLockedError: {tmp_path}: process {os.getpid()} has the store open" in second.stderr
    store.close()
    open_store(tmp_path).close()


def test_newer_schema_is_refused(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    with sqlite3.connect(tmp_path / database.FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreUnavailableError, match="schema version 99, but this program supports 2 at most"):
        open_store(tmp_path)


def test_older_schema_is_migrated_after_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    write(store, {A: [(BEGIN, 1)]})
    store.close()

    def migrate(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE metadata ADD COLUMN source TEXT")

    monkeypatch.setitem(database.MIGRATIONS, database.SCHEMA_VERSION, migrate)
    store = open_store(tmp_path)
    assert read(store, named("up")) == {A: [(BEGIN, 1)]}
    store.close()
    versions = []
    for name in (database.FILE, f"{database.FILE}.schema-{database.SCHEMA_VERSION}"):
        connection = sqlite3.connect(tmp_path / name)
        versions.append(database.schema_version(connection))
        connection.close()
    assert versions == [database.SCHEMA_VERSION + 1, database.SCHEMA_VERSION]


def test_a_store_without_segments_is_migrated(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    write(store, {A: [(BEGIN, 1)]})
    store.close()
    with sqlite3.connect(tmp_path / database.FILE) as connection:
        connection.execute("DROP TABLE segments")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    store = open_store(tmp_path, settings=Settings(head_samples=1))
    assert store.maintain().packed_samples == 1
    assert read(store, named("up")) == {A: [(BEGIN, 1)]}


def test_failed_migration_leaves_the_old_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(tmp_path).close()

    def migrate(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half (a)")
        connection.execute("CREATE TABLE half (a)")

    monkeypatch.setitem(database.MIGRATIONS, database.SCHEMA_VERSION, migrate)
    with pytest.raises(StoreUnavailableError, match="cannot open the store"):
        open_store(tmp_path)
    monkeypatch.undo()
    open_store(tmp_path).close()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / database.FILE).write_bytes(b"no database, but long enough to be read as one" * 100)
    with pytest.raises(StoreUnavailableError, match="file is not a database"):
        open_store(tmp_path)
    (tmp_path / database.FILE).unlink()
    with sqlite3.connect(tmp_path / database.FILE) as connection:
        connection.execute("CREATE TABLE other (a)")
    connection.close()
    with pytest.raises(StoreUnavailableError, match="this is not the file of a store"):
        open_store(tmp_path)


def test_directory_without_permission_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match="cannot open the store"):
        open_store(tmp_path / "file" / "below")
