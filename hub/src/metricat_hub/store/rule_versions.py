"""Versions of alert rules in a SQLite file. Versions are never changed or deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from metricat_hub.model.alert_rules import Action, RuleBody, RuleVersion, StaleRuleError
from metricat_hub.sqlite_file import SqliteFile

if TYPE_CHECKING:
    from pathlib import Path

FILE = "rules.sqlite"
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS rule_versions (
    rule TEXT NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    comment TEXT NOT NULL, body TEXT, PRIMARY KEY (rule, number)
) WITHOUT ROWID, STRICT;
"""
_COLUMNS = "rule, number, at, actor, action, comment, body"


class RuleVersions:
    """The versions of all rules. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        """Open or create the file.

        Raises:
            StoreUnavailableError: the file cannot be opened, or a newer release wrote it.
        """
        self._file = SqliteFile(folder / FILE, _SCHEMA, _VERSION)

    def current(self) -> dict[str, RuleVersion]:
        """Return the newest version of each rule by identifier, including deleted rules."""
        query = (
            f"SELECT {_COLUMNS} FROM rule_versions JOIN "  # noqa: S608 -- constants
            "(SELECT rule, max(number) AS number FROM rule_versions GROUP BY rule) USING (rule, number) ORDER BY rule"
        )
        with self._file.reading() as db:
            rows = db.execute(query).fetchall()
        return {row[0]: _version(row) for row in rows}

    def of(self, rule: str) -> list[RuleVersion]:
        """Return the versions of a rule, the oldest first."""
        query = f"SELECT {_COLUMNS} FROM rule_versions WHERE rule = ? ORDER BY number"  # noqa: S608 -- constants
        with self._file.reading() as db:
            return [_version(row) for row in db.execute(query, (rule,))]

    def add(self, version: RuleVersion) -> None:
        """Store the next version of a rule.

        Raises:
            StaleRuleError: the number is not one above that of the newest version.
            StoreUnavailableError: the version cannot be stored now, for example because the disk is full.
        """
        body = None if version.body is None else msgspec.json.encode(version.body).decode()
        row = (
            *(version.rule, version.number, version.at, version.actor, version.action, version.comment),
            body,
        )
        with self._file.transaction() as db:
            query = "SELECT coalesce(max(number), 0) FROM rule_versions WHERE rule = ?"
            [(newest,)] = db.execute(query, (version.rule,))
            _check(version, newest)
            db.execute("INSERT INTO rule_versions VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _check(version: RuleVersion, newest: int) -> None:
    if newest != version.number - 1:
        raise StaleRuleError(
            f"rule {version.rule} has version {newest}, but the change is based on version {version.number - 1}. "
            "Read the rule again, and repeat the change."
        )


def _version(row: tuple[str, int, int, str, str, str, str | None]) -> RuleVersion:
    # nosemgrep: json-of-others -- the hub wrote it
    body = None if row[6] is None else msgspec.json.decode(row[6], type=RuleBody)
    return RuleVersion(*row[:4], msgspec.convert(row[4], Action), row[5], body)
