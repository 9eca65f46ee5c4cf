"""An independent WebSocket client of the live values, and samples for it."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from support.remote_write import Sent, request_1, snappy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from support.hub_process import HubProcess

SECOND = 1000
LABELS = {"namespace": "local", "service": "metricat", "pool": "default"}


def push(hub: HubProcess, nodes: Sequence[str], seconds: int = 600, end: int | None = None) -> int:
    """Push a gauge of each node, one sample a second, whose value is its time in seconds; return the last time."""
    last = (end or int(time.time())) * SECOND
    sent = []
    for number, node in enumerate(nodes):
        labels = {"__name__": "node_load1", "node": node, "instance": node, **LABELS}
        points = [(at, at / SECOND + number / 1000) for at in range(last - seconds * SECOND, last + 1, SECOND)]
        sent.append(Sent(sorted(labels.items()), points))
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    response = hub.post("/api/v1/write", snappy(request_1(sent)), headers)
    assert response.status == 204, response.body
    return last


class Client:
    """A connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, message: Mapping[str, Any] | str | bytes) -> None:
        self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def receive(self, seconds: float = 60) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.connection.recv(seconds))
        return found

    def subscribe(self, *metrics: str, **more: Any) -> dict[str, Any]:
        """Subscribe; return the answer."""
        self.send({"type": "subscribe", "metrics": metrics, **more})
        return self.receive()

    def round(self, seconds: float = 60) -> dict[str, Any]:
        """Return the next round."""
        found = self.receive(seconds)
        assert found["type"] == "round", found
        return found


@contextmanager
def live(hub: HubProcess, path: str = "/api/v1/live", key: str | None = None, **options: Any) -> Iterator[Client]:
    """Open a connection with the hub's key, another key, or none if it is empty."""
    key = hub.key if key is None else key
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = hub.url.replace("http", "ws", 1) + path
    more = options.pop("headers", {})
    with connect(url, additional_headers={**headers, **more}, max_size=None, compression=None, **options) as connection:
        yield Client(connection)


def refused(hub: HubProcess, path: str = "/api/v1/live", key: str | None = None, **options: Any) -> tuple[int, str]:
    """Return the status and the detail of a handshake that the hub rejects."""
    try:
        with live(hub, path, key, **options):
            pass
    except InvalidStatus as error:
        return error.response.status_code, json.loads(error.response.body)["detail"]
    raise AssertionError("the hub accepted the handshake")


def milliseconds(text: str) -> int:
    """Return a time of a message."""
    from datetime import datetime  # noqa: PLC0415

    return round(datetime.fromisoformat(text).timestamp() * SECOND)
