"""The settings of live values and of the gRPC server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent.config.settings import Address, address
from metricat_hub.config.sections import items

if TYPE_CHECKING:
    from metricat_agent.config.loader import RawSettings

_ORIGIN = re.compile(r"https?://[^/\s,?#@]+")


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """Limits of live connections, and the address of the gRPC server."""

    connections: int
    origins: frozenset[str]
    """Origins of web pages that may open a WebSocket, apart from the hub's own."""
    grpc_listen: Address | None
    """The address of the gRPC server; None: the hub has no gRPC server."""


def live_settings(raw: RawSettings) -> LiveSettings:
    """Parse the settings of live values; raise `SettingError` for an invalid value."""
    origins = raw.get("live.allowed-origins")
    found = [one.rstrip("/") for one in items(origins)]
    for one in found:
        if not _ORIGIN.fullmatch(one):
            raise origins.error(f"{one!r} is not an origin; write for example https://grafana.example.org")
    listen = raw.get("grpc.listen")
    return LiveSettings(
        connections=raw.whole("live.max-connections", 1, 10_000),
        origins=frozenset(found),
        grpc_listen=address(listen, listen.text) if listen.text else None,
    )
