"""Clients that are gone without closing their connection, or that never read."""

from __future__ import annotations

import base64
import json
import os
import socket
from typing import TYPE_CHECKING

from metricat_hub.api.live import transport
from support.hub_process import eventually
from support.live_server import LiveServer, serving

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def silent_client(server: LiveServer) -> socket.socket:
    """Return a connection that subscribes and reads nothing more, so that data waits in the server."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", server.port))
    client.sendall(
        f"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Authorization: Bearer {server.key}\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n".encode()
    )
    assert client.recv(12) == b"HTTP/1.1 101"
    message = json.dumps({"type": "subscribe", "metrics": ["node_load1", "load_average_1m"]}).encode()
    client.sendall(b"\x81" + bytes([0x80 | len(message)]) + bytes(4) + message)
    return client


def test_connection_without_pongs_ends_though_data_waits_for_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "PING_SECONDS", 5.0)  # longer than the first round takes
    monkeypatch.setattr(transport, "PONG_SECONDS", 1.0)
    with serving(tmp_path, nodes=4000) as server, silent_client(server):
        statistics = server.services.rounds.statistics
        assert eventually(lambda: statistics.delivered > 0)
        assert statistics.clients == 1
        assert eventually(lambda: statistics.clients == 0)
        assert eventually(lambda: not server.services.rounds.is_running)
