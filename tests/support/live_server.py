"""The hub's own HTTP server with all its routes, in a thread, over an embedded store with some nodes."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.access.authenticators import Access, ApiKeys
from metricat_hub.access.keys import KeyStore
from metricat_hub.api.application import application
from metricat_hub.api.server import Server
from metricat_hub.api.services import Services
from metricat_hub.store.embedded import EmbeddedStore
from support.hub_store import labels, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from metricat_hub.access.authenticators import Authenticator


def now() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class LiveServer:
    """A running server."""

    port: int
    key: str
    services: Services


def filled_store(folder: Path, nodes: int) -> EmbeddedStore:
    """Return a store with the load of some nodes, one sample a second of the last minute."""
    store = EmbeddedStore.open(folder)
    last = now() // 1000 * 1000
    times = range(last - 60_000, last + 1, 1000)
    write(
        store,
        {
            labels("node_load1", node=f"n{number}"): [(at, at / 1000 + number) for at in times]
            for number in range(nodes)
        },
    )
    return store


@contextmanager
def serving(folder: Path, nodes: int = 3, authenticators: Sequence[Authenticator] = ()) -> Iterator[LiveServer]:
    """Run the server with rounds of one second. It calls the authenticators before that of its own key."""
    store = filled_store(folder, nodes)
    keys = KeyStore.open(folder, now)
    key, _ = keys.create("test", ["read"])
    services = Services(store, Access([*authenticators, ApiKeys(keys)]), now, interval=1000)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ready = threading.Event()
        server = Server(application(services), listener, None, ready.set)
        thread = threading.Thread(target=lambda: asyncio.run(server.run_until_stopped()))
        thread.start()
        try:
            assert ready.wait(30)
            yield LiveServer(listener.getsockname()[1], key, services)
        finally:
            server.stop()
            thread.join(30)
            assert not thread.is_alive()
            services.threads.close()
            store.close()
