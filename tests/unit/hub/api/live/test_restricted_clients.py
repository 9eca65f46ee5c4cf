"""Clients that may read some namespaces only get no live values, because all clients share the rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from metricat_hub.access.principal import Principal
from support.hub_process import send
from support.live_server import serving

if TYPE_CHECKING:
    from pathlib import Path

    from metricat_hub.access.credentials import Credentials


class Restricted:
    """An authenticator of one token."""

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        if credentials.bearer != "restricted":
            return None
        return Principal("ada", frozenset(("read",)), kind="kubernetes", namespaces=frozenset(("team-a",)))


def test_restricted_client_gets_neither_a_connection_nor_a_ticket(tmp_path: Path) -> None:
    headers = {"Authorization": "Bearer restricted"}
    with serving(tmp_path, authenticators=[Restricted()]) as server:
        with pytest.raises(InvalidStatus, match="403"):
            connect(f"ws://127.0.0.1:{server.port}/api/v1/live", additional_headers=headers).__enter__()
        ticket = send(f"http://127.0.0.1:{server.port}/api/v1/live/ticket", b"", headers)
        assert (ticket.status, "namespaces" in ticket.json["detail"]) == (403, True)
        headers = {"Authorization": f"Bearer {server.key}"}
        assert send(f"http://127.0.0.1:{server.port}/api/v1/live/ticket", b"", headers).status == 200
