"""Limits of connections, against a real server with short times: slow heads, bodies and readers, and too many."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from metricat_hub.api.connection import ConnectionLimits
from metricat_hub.api.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = 3_600.0
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
LARGE = b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n"
"""A request whose response has 50 MB."""


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Read the body; return its size, or 50 MB for the path /large."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"x" * 50_000_000 if scope["path"] == "/large" else str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Running:
    def __init__(self, port: int, limits: ConnectionLimits) -> None:
        self.port = port
        self.limits = limits

    def connect(self, data: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), 30)
        connection.sendall(data)
        return connection


@contextlib.contextmanager
def serving(**settings: Any) -> Iterator[Running]:
    long = {"head_seconds": LONG, "body_seconds": LONG, "write_seconds": LONG}
    limits = ConnectionLimits(**{**long, **settings})
    ready = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(application, listener, None, ready.set, limits)
        thread = threading.Thread(target=lambda: asyncio.run(server.run_until_stopped()))
        thread.start()
        try:
            assert ready.wait(30)
            yield Running(listener.getsockname()[1], limits)
        finally:
            server.stop()
            thread.join(30)
            assert not thread.is_alive()


def read(connection: socket.socket) -> bytes:
    """Return what comes until the end of the connection."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65_536):
            found += part
    return found


def response(connection: socket.socket, end: bytes) -> bytes:
    """Return what comes until a text."""
    found = b""
    while not found.endswith(end):
        part = connection.recv(65_536)
        assert part, found
        found += part
    return found


def eventually(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("start", [b"", b"GET / HT", GET[:-2], GET + GET[:-2]])
def test_head_that_does_not_arrive_in_time_ends_the_connection(start: bytes) -> None:
    with serving(head_seconds=0.3) as server, server.connect(start) as connection:
        assert b"HTTP/1.1 408 Request Timeout\r\n" in read(connection)
        assert server.limits.refused == {"slow_head": 1}
        eventually(lambda: not server.limits.open)


def test_head_in_single_bytes_does_not_extend_its_time() -> None:
    with serving(head_seconds=0.5) as server, server.connect(b"GET / HTTP/1.1\r\nX: ") as connection:
        begin = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < begin + 30 and not server.limits.refused:
                connection.sendall(b"x")
                time.sleep(0.02)
        assert server.limits.refused == {"slow_head": 1}


def test_idle_connection_is_kept_between_requests() -> None:
    with serving(head_seconds=1) as server, server.connect(GET) as connection:
        response(connection, b"\r\n\r\n0")
        time.sleep(1.2)
        connection.sendall(GET)
        response(connection, b"\r\n\r\n0")
        assert not server.limits.refused


def test_pipelined_requests_are_served() -> None:
    with serving(head_seconds=5, head_bytes=1_000) as server, server.connect(GET * 100) as connection:
        found = b""
        while found.count(b"HTTP/1.1 200 OK") < 100:
            part = connection.recv(65_536)
            assert part
            found += part


def test_large_head_is_refused() -> None:
    with serving(head_bytes=10_000) as server, server.connect(b"GET / HTTP/1.1\r\nX: ") as connection:
        with contextlib.suppress(ConnectionError):
            for _ in range(1_000):
                connection.sendall(b"x" * 1_000)
        eventually(lambda: server.limits.refused == {"head_bytes": 1})
        eventually(lambda: not server.limits.open)


def test_body_that_arrives_too_slowly_ends_the_connection() -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"
    with serving(body_seconds=0.2, body_bytes=100) as server, server.connect(head + b"x") as connection:
        assert read(connection) == b""
        assert server.limits.refused == {"slow_body": 1}


def test_body_that_arrives_steadily_may_take_many_periods() -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n"
    with serving(body_seconds=1, body_bytes=1) as server, server.connect(head) as connection:
        for _ in range(50):
            connection.sendall(b"x")
            time.sleep(0.05)
        response(connection, b"\r\n\r\n50")


def test_client_that_does_not_read_ends_the_connection() -> None:
    with serving(write_seconds=0.3) as server, server.connect(LARGE):
        eventually(lambda: server.limits.refused == {"slow_reader": 1})
        eventually(lambda: not server.limits.open)


def test_client_that_reads_slowly_is_served() -> None:
    request = b"GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    with serving(write_seconds=1) as server, server.connect(request) as connection:
        size = 0
        while part := connection.recv(1 << 20):
            size += len(part)
            time.sleep(0.02)
        assert size > 50_000_000


def test_client_that_reads_too_slowly_ends_the_connection() -> None:
    with serving(write_seconds=0.5, write_bytes=20_000_000) as server, server.connect(LARGE) as connection:
        deadline = time.monotonic() + 30
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < deadline and not server.limits.refused and connection.recv(65_536):
                time.sleep(0.02)
        assert server.limits.refused == {"slow_reader": 1}


def test_unread_responses_are_dropped_above_the_limit_and_readers_are_served() -> None:
    with serving(unsent_bytes=120_000_000) as server, contextlib.ExitStack() as opened:
        reader = opened.enter_context(server.connect(LARGE))
        size = len(reader.recv(1 << 20))
        idle = []
        for number in range(1, 9):  # each holds up to 50 MB
            idle.append(opened.enter_context(server.connect(LARGE)))
            eventually(lambda number=number: len(server.limits.waiting) + server.limits.refused.total() == number + 1)
            for _ in range(4):
                size += len(reader.recv(1 << 20))
                time.sleep(0.05)
            assert sum(one.unsent for one in server.limits.waiting) < 170_000_000
        assert set(server.limits.refused) == {"unsent_bytes"}
        assert server.limits.refused.total() >= 5
        while size < 50_000_000:
            part = reader.recv(1 << 20)
            assert part, "the hub dropped the client that reads"
            size += len(part)


def test_a_response_above_the_limit_is_sent() -> None:
    with serving(unsent_bytes=1_000_000) as server, server.connect(LARGE) as connection:
        size = 0
        while size < 50_000_000:
            part = connection.recv(1 << 20)
            assert part
            size += len(part)
        assert not server.limits.refused


def test_connections_above_the_limit_get_503_until_others_end() -> None:
    with serving(connections=3) as server:
        connections = [server.connect() for _ in range(3)]
        eventually(lambda: server.limits.open.total() == 3)
        with server.connect(GET) as refused:
            assert read(refused).startswith(b"HTTP/1.1 503 ")
        assert server.limits.refused == {"connections": 1}
        connections[0].close()
        eventually(lambda: server.limits.open.total() == 2)
        with server.connect(GET) as accepted:
            assert accepted.recv(1000).startswith(b"HTTP/1.1 200 ")
        for connection in connections:
            connection.close()


def test_one_address_beyond_loopback_has_half_of_the_connections() -> None:
    limits = ConnectionLimits(10)
    for _ in range(5):
        assert limits.admits("192.0.2.1")
        limits.open["192.0.2.1"] += 1
    assert not limits.admits("192.0.2.1")
    limits.open["::1"] = 4
    assert limits.admits("192.0.2.2")
    assert limits.admits("::1")
    limits.open["::1"] = 5
    assert not limits.admits("::1")
