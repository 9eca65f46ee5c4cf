"""Migrations of the tables: numbered SQL files, each applied once by the hub that holds the lease."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from metricat_hub.store.postgresql.errors import StoreConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg import Connection

    from metricat_hub.store.postgresql.layout import Layout
    from metricat_hub.store.postgresql.state import State

_BOOTSTRAP = """
CREATE SCHEMA IF NOT EXISTS metricat;
CREATE TABLE IF NOT EXISTS metricat.migrations (
    version integer PRIMARY KEY, name text NOT NULL, applied timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS metricat.lease (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), epoch bigint NOT NULL DEFAULT 0, holder text NOT NULL DEFAULT ''
);
INSERT INTO metricat.lease DEFAULT VALUES ON CONFLICT DO NOTHING;
"""
_LAYOUTS = ("plain", "timescaledb")


def migrate(connection: Connection, where: str) -> Callable[[State], Layout]:
    """Apply missing migrations; return the class of the database's layout.

    Raises:
        StoreConfigurationError: a later release of the hub has migrated the database.
    """
    if connection.execute("SELECT to_regclass('metricat.lease')").fetchone() == (None,):
        # Only the first start needs the privilege to create a schema.
        with connection.transaction():
            connection.execute(_BOOTSTRAP)
    layout, missing = _missing(connection, where)
    for version, (name, text) in sorted(missing.items()):
        with connection.transaction():
            connection.execute(text)
            connection.execute("INSERT INTO metricat.migrations (version, name) VALUES (%s, %s)", (version, name))
    return _named(layout)


def existing_layout(connection: Connection, where: str) -> Callable[[State], Layout]:
    """Return the class of the database's layout, without changing the database.

    Raises:
        StoreConfigurationError: no hub has used the database, or only a hub of an earlier or a later release.
    """
    if connection.execute("SELECT to_regclass('metricat.lease')").fetchone() == (None,):
        raise StoreConfigurationError(f"{where}: the database has no samples of a hub. Check --store.url.")
    layout, missing = _missing(connection, where)
    if missing:
        raise StoreConfigurationError(
            f"{where}: the tables are from an earlier release of the hub. Start a hub of this release once, which "
            "migrates them."
        )
    return _named(layout)


def _missing(connection: Connection, where: str) -> tuple[str, dict[int, tuple[str, bytes]]]:
    """Return the name of the layout, and the migrations that the database does not have, by version."""
    applied: dict[int, str] = dict(connection.execute("SELECT version, name FROM metricat.migrations").fetchall())
    layout = applied[2].partition("_")[2] if 2 in applied else _wanted_layout(connection)
    files = _files(layout)
    unknown = sorted(set(applied) - set(files))
    if unknown:
        raise StoreConfigurationError(
            f"{where}: a later release of the hub has changed the tables (migration {unknown[-1]}). Use that release."
        )
    return layout, {version: one for version, one in files.items() if version not in applied}


def _named(layout: str) -> Callable[[State], Layout]:
    if layout == "timescaledb":
        from metricat_hub.store.postgresql.timescale import TimescaleLayout  # noqa: PLC0415 -- only with the extension

        return TimescaleLayout
    from metricat_hub.store.postgresql.plain import PlainLayout  # noqa: PLC0415 -- as above

    return PlainLayout


def _wanted_layout(connection: Connection) -> str:
    """Return the layout of a new database: TimescaleDB's if the extension is there with its community features."""
    if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is None:
        return "plain"
    license_name = connection.execute("SELECT current_setting('timescaledb.license', true)").fetchone()
    # The Apache edition has neither compression nor continuous aggregates.
    return "plain" if license_name == ("apache",) else "timescaledb"


def _files(layout: str) -> dict[int, tuple[str, bytes]]:
    """Return the migrations of a layout: name and text by version."""
    found = {}
    for file in resources.files(__name__).iterdir():
        if file.name.endswith(".sql"):
            version, _, name = file.name.removesuffix(".sql").partition("_")
            if name == layout or name not in _LAYOUTS:
                found[int(version)] = (f"{version}_{name}", file.read_bytes())
    return found
