"""Rate limits counted in memory: the sliding window, what a client can send, and the bound on memory."""

from __future__ import annotations

import asyncio
import random

import pytest

from metricat_hub.access.rate_limit import Decision, MemoryCounter, Policy

POLICY = Policy("keys", 10, 60)


class Client:
    """Sends requests at times in seconds."""

    def __init__(self, policy: Policy = POLICY, most_clients: int = 10_000) -> None:
        self.now = 0.0
        self.policy = policy
        self.counter = MemoryCounter(lambda: int(self.now * 1000), most_clients)

    def send(self, at: float, client: str = "key:a") -> Decision:
        self.now = at
        return asyncio.run(self.counter.take(self.policy, client))


def test_requests_up_to_the_limit_are_accepted_and_counted_down() -> None:
    client = Client()
    decisions = [client.send(3) for _ in range(11)]
    assert [one.is_accepted for one in decisions] == [True] * 10 + [False]
    assert [one.remaining for one in decisions] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]
    assert {one.reset for one in decisions} == {57}


def test_clients_and_policies_do_not_share_counts() -> None:
    client = Client()
    for _ in range(10):
        client.send(3)
    assert client.send(3, "key:b").is_accepted
    client.policy = Policy("writes", 10, 60)
    assert client.send(3).is_accepted


def test_full_limit_is_not_available_twice_around_the_end_of_a_window() -> None:
    client = Client()
    accepted = [client.send(59).is_accepted for _ in range(10)] + [client.send(61).is_accepted for _ in range(10)]
    assert sum(accepted) == 10
    assert sum(client.send(90).is_accepted for _ in range(10)) == 5
    assert sum(client.send(180).is_accepted for _ in range(20)) == 10


@pytest.mark.parametrize("seed", range(20))
def test_request_is_accepted_after_the_announced_time_and_not_before(seed: int) -> None:
    choose = random.Random(seed)
    client = Client(Policy("keys", choose.randint(1, 30), 60))
    at = 0.0
    for _ in range(200):
        at += choose.expovariate(1.5)
        decision = client.send(at)
        if decision.is_accepted:
            assert decision.retry == 0
            continue
        assert decision.retry >= 1
        if decision.retry > 1:
            assert not client.send(at + decision.retry - 1).is_accepted
        at += decision.retry
        assert client.send(at).is_accepted


def test_memory_is_bounded_and_the_busiest_client_stays_limited() -> None:
    client = Client(most_clients=100)
    for _ in range(10):
        client.send(1)
    for number in range(1_000):
        client.send(1, f"key:{number}")
        assert not client.send(1).is_accepted
    assert len(client.counter) == 100
