"""Probes that open a connection: TCP, and TCP with a TLS handshake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.probes.connection import connect

if TYPE_CHECKING:
    from metricat_agent.probes.connection import Deadline
    from metricat_agent.probes.result import Result
    from metricat_agent.probes.target import Target


def probe(target: Target, deadline: Deadline, result: Result) -> None:
    """Connect, complete the TLS handshake if the target uses TLS, and close; raise `ProbeError` if a step fails."""
    connection = connect(target, target.host, target.port, deadline, result)
    try:
        if target.uses_tls:
            from metricat_agent.probes.tls import handshake  # noqa: PLC0415 -- ssl needs 3 MiB

            connection = handshake(target, target.host, connection, deadline, result)
    finally:
        connection.close()
