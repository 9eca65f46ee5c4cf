"""The audit log and the redaction of secrets, process names and paths."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from metricat_hub.access import audit
from metricat_hub.access.database import SqliteAccounts
from metricat_hub.access.redaction import parameters, redacted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

KEY = "metricat_0123456789ab_" + "s" * 43


@pytest.fixture
def entries() -> Iterator[list[Mapping[str, object]]]:
    found: list[Mapping[str, object]] = []
    audit.configure(found.append)
    yield found
    audit.configure(None)


def test_entry_has_who_what_from_where_and_outcome_also_in_threads(entries: list[Mapping[str, object]]) -> None:
    async def request() -> None:
        audit.origin.set(audit.Origin("192.0.2.1", "r-1"))
        await asyncio.to_thread(audit.record, "user.create", who="ada", target="bob", role="viewer")

    asyncio.run(request())
    audit.record("session.create", who="eve", outcome="failure")
    assert entries == [
        {
            "action": "user.create",
            "outcome": "success",
            "who": "ada",
            "target": "bob",
            "client": "192.0.2.1",
            "request_id": "r-1",
            "details": {"role": "viewer"},
        },
        {"action": "session.create", "outcome": "failure", "who": "eve", "client": "", "request_id": ""},
    ]


def test_entry_has_no_secret(entries: list[Mapping[str, object]]) -> None:
    audit.record("key.create", who=KEY, target=f"Bearer {KEY}", new_password="hunter2", url="https://u:pw@h/")
    text = str(entries)
    assert "0123456789ab" in text
    assert not any(secret in text for secret in ("s" * 43, "hunter2", "pw@"))


def test_record_without_a_log_does_nothing() -> None:
    audit.record("user.create", who="ada")


def test_redaction_keeps_other_text() -> None:
    assert redacted("user ada, key metricat") == "user ada, key metricat"
    assert redacted("x eyJhbGciOi.eyJzdWIi.c2ln y") == "x *** y"
    assert redacted("redis://:pw@db:6379/0") == "redis://***@db:6379/0"


QUERY = "query=node_procs%7Bgroupname%3D%22sshd%22%2Cpath%3D%27%2Fhome%2Fada%5D&start=5&device=%2Fdev%2Fsda&ticket=abc"


def test_mask_decides_about_names_and_paths_but_never_about_secrets() -> None:
    assert parameters(QUERY, "all") == dict.fromkeys(("query", "start", "device", "ticket"), "***")
    assert parameters(QUERY, "values") == {
        "query": 'node_procs{groupname="***",path="***"',
        "start": "5",
        "device": "***",
        "ticket": "***",
    }
    shown = parameters(QUERY, "none")
    assert shown["query"] == 'node_procs{groupname="sshd",path=\'/home/ada]'
    assert (shown["device"], shown["ticket"]) == ("/dev/sda", "***")
    assert parameters(f"node=a&node={KEY}", "none")["node"] == ["a", "metricat_0123456789ab_***"]
    assert parameters("&".join(["a=1"] * 200), "none") == {"(too many)": ""}


def test_entries_of_commands_are_kept_until_the_hub_has_a_log(tmp_path: Path) -> None:
    database = SqliteAccounts(tmp_path)
    with audit.stored_in(database):
        for name in ("bob", "eve"):
            audit.record("user.create", who="ada", target=name)
    audit.write_stored(database)
    found: list[Mapping[str, object]] = []
    audit.configure(found.append)
    for _ in range(2):
        audit.write_stored(database)
    audit.configure(None)
    database.close()
    assert [one["target"] for one in found] == ["bob", "eve"]
    assert all(str(one["time"]).endswith("Z") for one in found)
