"""The audit log: one line for each change and each sign-in. See docs/design/0034.

    audit.record("key.revoke", who=principal.name, target=identifier)
    audit.record("session.create", who=name, outcome="failure", reason="wrong password")

The line also has the client's address and the ID of the request that runs, so callers do not pass them. `configure`
sets where the lines go; before that, `record` does nothing.

The commands that change accounts run in a process of their own, which does not have the hub's log. They store their
entries in the accounts database (`stored_in`). The hub writes them to its log (`write_stored`) within a second, or
at its next start.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from metricat_hub.access.line_log import utc
from metricat_hub.access.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from metricat_hub.access.ports import AccountDatabase

Outcome: TypeAlias = Literal["success", "failure", "denied"]
"""`success`: done. `failure`: failed, for example by a wrong password. `denied`: the client's role forbids it."""
Detail: TypeAlias = "str | int | float | bool | None"
_SECRET_NAMES = ("password", "secret", "token", "hash", "digest", "cookie", "authorization")


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a change: the address of the client, and the ID of the request."""

    client: str = ""
    request: str = ""


_NOWHERE = Origin()
origin: ContextVar[Origin] = ContextVar("origin", default=_NOWHERE)
"""Set for each request. `asyncio.to_thread` and anyio's threads inherit it."""
_write: Callable[[Mapping[str, object]], None] | None = None


def configure(write: Callable[[Mapping[str, object]], None] | None) -> None:
    """Set the function that receives each entry. It must neither block nor raise. None: discard the entries."""
    global _write  # noqa: PLW0603 -- one audit log per process, as with `logging`
    _write = write


@contextmanager
def stored_in(database: AccountDatabase) -> Iterator[None]:
    """Inside this context, store the entries in the accounts database; the hub writes them to its log later."""
    configure(lambda entry: database.add_audit(msgspec.json.encode({"time": utc(time.time()), **entry})))
    try:
        yield
    finally:
        configure(None)


def write_stored(database: AccountDatabase) -> None:
    """Write the entries that commands have stored in the accounts database to the audit log. It blocks."""
    write = _write
    if write is not None:
        # nosemgrep: json-of-others -- the hub wrote it
        database.take_audit(lambda entry: write(msgspec.json.decode(entry)))


def record(action: str, *, who: str, target: str = "", outcome: Outcome = "success", **details: Detail) -> None:
    """Add an entry. Call it after the change, in any thread. Never pass a secret.

    Args:
        action: object and verb, such as `user.create`.
        who: the name of the principal, or the name that a failed sign-in gave.
        target: what the action changes: a user name, or the identifier of a key.
        outcome: whether the action was done.
        details: further facts about the change, for example the new role.
    """
    if _write is None:
        return
    source = origin.get()
    entry: dict[str, object] = {"action": action, "outcome": outcome, "who": redacted(who)[:200]}
    if target:
        entry["target"] = redacted(target)[:200]
    entry |= {"client": source.client, "request_id": source.request}
    if details:
        entry["details"] = {name: _safe(name, value) for name, value in details.items()}
    _write(entry)


def _safe(name: str, value: Detail) -> Detail:
    if any(word in name.lower() for word in _SECRET_NAMES):
        return "***"
    return redacted(value)[:1000] if isinstance(value, str) else value
