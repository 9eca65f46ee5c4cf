"""Errors of PostgreSQL as errors for users: temporary errors, and the remedies of lasting ones."""

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
"""Words in messages of lasting errors. libpq has no code for errors of connections."""
_REMEDIES: tuple[tuple[type[Error], str], ...] = (
    (errors.DiskFull, "Free space on the database's disk."),
    (errors.OutOfMemory, "Give the database more memory, or lower its work_mem."),
    (errors.TooManyConnections, "Raise max_connections of the database, or close other connections."),
    (errors.ReadOnlySqlTransaction, "Use the address of the primary server, or target_session_attrs=read-write."),
    (
        errors.InsufficientPrivilege,
        "Grant the privilege to the hub's user, or make it the owner of the schema metricat.",
    ),
    (errors.UndefinedTable, "Someone removed a table of the schema metricat. Restore it, and restart the hub."),
)


class StoreConfigurationError(HubError):
    """The database cannot be used as it is set. Retrying does not help."""


class ConnectionLostError(StoreUnavailableError):
    """The connection is lost. A new connection may work immediately, and every operation may be repeated."""


def is_lost(error: Error, connection: Connection[object]) -> bool:
    """Return whether the connection is lost, so that a new connection may work immediately."""
    return connection.closed or isinstance(error, errors.AdminShutdown | errors.CrashShutdown)


def unavailable(where: str, error: Error) -> StoreUnavailableError:
    """Return the error for users of a failed statement or connection."""
    remedy = next((text for kind, text in _REMEDIES if isinstance(error, kind)), "Check the database. The hub retries.")
    return StoreUnavailableError(f"{where}: {reason(error)}. {remedy}")


def of_read(where: str, error: Error) -> HubError:
    """Return the error for users of a failed read: a timeout, or an unavailable store."""
    if isinstance(error, errors.QueryCanceled):
        return QueryTimeoutError(
            f"{where}: the database took longer than the timeout. Use a shorter range, or raise --query.timeout."
        )
    return unavailable(where, error)


def of_connect(where: str, error: Error) -> HubError:
    """Return the error for users of a failed connection: one that may pass, or one of the settings."""
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
