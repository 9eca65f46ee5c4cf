"""Converts errors of PostgreSQL to errors for users, with remedies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import Error, OperationalError, errors

from metricat_hub.model.errors import HubError, QueryTimeoutError, StoreUnavailableError

if TYPE_CHECKING:
    from psycopg import Connection

_LASTING = (
    *("authentication failed", "does not exist", "no pg_hba.conf entry", "no password supplied", "permission denied"),
    "connection is bad: invalid",
)
"""Texts that identify permanent errors of connections, for which libpq has no error codes."""
_REMEDIES: tuple[tuple[type[Error], str], ...] = (
    (errors.DiskFull, "Free space on the database's disk."),
    (errors.OutOfMemory, "Give the database more memory, or lower its work_mem."),
    (
        errors.TooManyConnections,
        "Close other connections to the database, or, if it has the memory, raise its max_connections.",
    ),
    (
        errors.ReadOnlySqlTransaction,
        "Set --store.url to the primary server, or add target_session_attrs=read-write to it.",
    ),
    (
        errors.InsufficientPrivilege,
        "Grant the privilege to the hub's user, or make it the owner of the schema metricat.",
    ),
    (errors.UndefinedTable, "A table of the schema metricat is missing. Restore the table, and restart the hub."),
)


class StoreConfigurationError(HubError):
    """The hub cannot use the database because of a setting or a privilege. A retry does not help."""


class ConnectionLostError(StoreUnavailableError):
    """The connection is lost. A new connection can work immediately; operations can be repeated safely."""


def is_lost(error: Error, connection: Connection[object]) -> bool:
    """Return whether the connection is lost, so that a new connection may work immediately."""
    return connection.closed or isinstance(error, errors.AdminShutdown | errors.CrashShutdown)


def unavailable(where: str, error: Error) -> StoreUnavailableError:
    """Convert the error of a statement or connection to an error for users, with a remedy."""
    remedy = next((text for kind, text in _REMEDIES if isinstance(error, kind)), "Check the database. The hub retries.")
    return StoreUnavailableError(f"{where}: {reason(error)}. {remedy}")


def of_read(where: str, error: Error) -> HubError:
    """Convert the error of a read to an error for users: `QueryTimeoutError` or `StoreUnavailableError`."""
    if isinstance(error, errors.QueryCanceled):
        return QueryTimeoutError(
            f"{where}: the database took longer than --query.timeout. Use a shorter time range, or raise the timeout."
        )
    return unavailable(where, error)


def of_connect(where: str, error: Error) -> HubError:
    """Convert the error of a new connection to an error for users.

    `StoreUnavailableError` means that a retry may succeed, `StoreConfigurationError` that a setting is wrong.
    """
    text = reason(error)
    if isinstance(error, OperationalError) and not any(one in text for one in _LASTING):
        return StoreUnavailableError(f"{where}: {text}. Check the address and the database. The hub retries.")
    return StoreConfigurationError(
        f"{where}: {text}. Check user, database and password of --store.url, and pg_hba.conf of the server."
    )


def reason(error: Error) -> str:
    """Return the first line of an error's message, without a final dot."""
    primary = error.diag.message_primary if error.diag else None
    lines = (primary or str(error) or type(error).__name__).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).removeprefix("connection failed: ").removesuffix(".")
