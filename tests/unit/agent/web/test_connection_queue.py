"""A connection above the limit waits for a free slot, for a limited time."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from metricat_agent.web.connection_queue import ConnectionQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_agent.web.connection_queue import Client


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    """Three clients that have sent nothing yet."""
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(3)]
        for one, other in pairs:
            stack.enter_context(one)
            stack.enter_context(other)
        yield [(one, f"10.0.0.{number}") for number, (one, _) in enumerate(pairs)]


def queue_of(clients: list[Client], size: int, clock: list[float]) -> ConnectionQueue:
    """Return a queue with a timeout of one second, in which the clients arrived 0.1 seconds apart."""
    queue = ConnectionQueue(size, 1, clock=lambda: clock[0])
    for client in clients:
        queue.add(client)
        clock[0] += 0.1
    return queue


@pytest.mark.parametrize("most_selected", [0, 1, 2, 3, 512])
def test_first_client_that_sent_bytes_is_ready_with_any_limit_of_select(most_selected: int) -> None:
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(7)]
        for one, other in pairs:
            stack.enter_context(one)
            stack.enter_context(other)
        queue = ConnectionQueue(10, 1, most_selected=most_selected)
        assert queue.ready() is None
        clients: list[Client] = [(one, str(number)) for number, (one, _) in enumerate(pairs)]
        for client in clients:
            queue.add(client)
        assert queue.ready() is None
        for number in (6, 4):
            pairs[number][1].send(b"G")
        assert queue.ready() == clients[4]
        queue.remove(clients[4])
        assert queue.ready() == clients[6]
        queue.remove(clients[6])
        assert queue.ready() is None


def test_client_expires_at_the_timeout_although_the_queue_is_not_full(clients: list[Client]) -> None:
    clock = [0.0]
    queue = queue_of(clients, 10, clock)
    clock[0] = 0.99
    assert list(queue.expired()) == []
    clock[0] = 1.1
    assert list(queue.expired()) == clients[:2]
    assert len(queue) == 1


def test_oldest_clients_above_the_size_expire_before_the_timeout(clients: list[Client]) -> None:
    queue = queue_of(clients, 1, [0.0])
    assert list(queue.expired()) == clients[:2]
    assert len(queue) == 1


def test_queue_of_exactly_its_size_expires_nothing(clients: list[Client]) -> None:
    queue = queue_of(clients, 3, [0.0])
    assert list(queue.expired()) == []
    assert len(queue) == 3


def test_first_client_that_has_sent_something_is_ready_and_stays_in_the_queue(clients: list[Client]) -> None:
    clock = [0.0]
    queue = ConnectionQueue(10, 1, clock=lambda: clock[0])
    one, other = socket.socketpair()
    with one, other:
        queue.add(clients[0])
        queue.add((one, "10.0.0.9"))
        assert queue.ready() is None
        other.sendall(b"GET")
        assert queue.ready() == (one, "10.0.0.9")
        assert len(queue) == 2
        queue.remove((one, "10.0.0.9"))
        assert queue.ready() is None
        assert list(queue.drain()) == clients[:1]
        assert not queue
