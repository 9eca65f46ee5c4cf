"""Stored versions of alert rules."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from metricat_hub.model.alert_rules import LevelBody, RuleBody, RuleVersion, StaleRuleError
from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.store.rule_versions import RuleVersions

if TYPE_CHECKING:
    from pathlib import Path

BODY = RuleBody(name="Ä", expression="up", threshold=1.5, levels={"warning": LevelBody(2.0, "5m", enabled=False)})


def version(number: int, body: RuleBody | None = BODY, rule: str = "a") -> RuleVersion:
    return RuleVersion(rule, number, 1_000 + number, "ann", "update", "why", body)


def test_versions_are_the_same_after_a_restart(tmp_path: Path) -> None:
    versions = RuleVersions(tmp_path)
    versions.add(version(1))
    versions.add(version(2, None))
    versions.add(version(1, rule="b"))
    other = RuleVersions(tmp_path)  # as after `kill -9`: the first one is not closed
    assert other.of("a") == [version(1), version(2, None)]
    assert other.current() == {"a": version(2, None), "b": version(1, rule="b")}
    assert other.of("c") == []


def test_version_that_is_not_the_next_one_is_refused(tmp_path: Path) -> None:
    versions = RuleVersions(tmp_path)
    versions.add(version(1))
    for number in (1, 3):
        with pytest.raises(StaleRuleError, match="rule a has version 1"):
            versions.add(version(number))
    versions.add(version(2))
    assert [one.number for one in versions.of("a")] == [1, 2]


def test_newer_file_is_refused(tmp_path: Path) -> None:
    RuleVersions(tmp_path).close()
    with sqlite3.connect(tmp_path / "rules.sqlite") as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(StoreUnavailableError, match="schema version 99"):
        RuleVersions(tmp_path)
