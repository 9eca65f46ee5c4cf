"""Rounds of live values over a real store: one evaluation for all subscribers, and replay after a gap."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from metricat_hub.api.live.messages import encode_round
from metricat_hub.api.live.rounds import Rounds, TooManyClientsError
from metricat_hub.api.query_threads import QueryThreads
from metricat_hub.model.errors import InvalidParameterError, LimitError
from metricat_hub.promql.limits import Limits
from metricat_hub.use_cases.live import MOST_VALUES, Subscription, subscription
from metricat_hub.use_cases.queries import Queries
from support.hub_store import labels, write
from support.live_server import filled_store, now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from metricat_hub.api.live.rounds import Delivery
    from metricat_hub.promql.engine import Result


class CountingQueries(Queries):
    """The engine, with a list of what it evaluated."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.queries: list[str] = []

    def instant(self, query: str, *arguments: Any, **named: Any) -> Result:
        self.queries.append(query)
        return super().instant(query, *arguments, **named)


class Setup:
    """Rounds of one second over three nodes."""

    def __init__(self, folder: Path, connections: int = 2) -> None:
        self.store = filled_store(folder, 3)
        self.queries = CountingQueries(self.store, Limits())
        self.threads = QueryThreads(2, 30)
        self.rounds = Rounds(self.store, self.queries, self.threads, now, interval=1000, connections=connections)

    async def receive(self, wanted: Subscription, count: int, since: int | None = None) -> list[Delivery]:
        async with aclosing(self.rounds.deliveries(wanted, since, "json", encode_round)) as deliveries:
            return [await anext(deliveries) for _ in range(count)]


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    found = Setup(tmp_path)
    yield found
    found.threads.close()
    found.store.close()


def nodes(delivery: Delivery) -> list[str]:
    [metric] = msgspec.json.decode(delivery.data)
    return [value["node"] for value in metric["values"]]


ALL = Subscription(("node_load1",))
ONE, TWO = (Subscription(("node_load1",), frozenset(chosen)) for chosen in (["n1"], ["n1", "n2"]))


def test_equal_subscriptions_share_one_evaluation_and_the_encoded_bytes(setup: Setup) -> None:
    async def run() -> list[list[Delivery]]:
        return await asyncio.gather(*(setup.receive(ALL, 2) for _ in range(50)))

    received = asyncio.run(run())
    assert len({one.time for several in received for one in several}) == 2
    assert len({id(one.data) for several in received for one in several}) == 2
    assert setup.queries.queries == ["node_load1{}"] * 2


def test_round_is_evaluated_for_the_union_of_the_nodes(setup: Setup) -> None:
    async def run() -> tuple[list[Delivery], list[Delivery]]:
        return await asyncio.gather(setup.receive(ONE, 2), setup.receive(TWO, 2))

    one, two = asyncio.run(run())
    assert [nodes(delivery) for delivery in one] == [["n1"]] * 2
    assert [nodes(delivery) for delivery in two] == [["n1", "n2"]] * 2
    assert setup.queries.queries[-1] == 'node_load1{node=~"n1|n2"}'
    assert len(setup.queries.queries) <= 3


def test_replay_has_each_round_once_and_ends_at_the_newest(setup: Setup) -> None:
    last = now() // 1000 * 1000

    async def run() -> list[Delivery]:
        received: list[Delivery] = []
        async with aclosing(setup.rounds.deliveries(ONE, last - 31_000, "json", encode_round)) as deliveries:
            while not received or received[-1].replayed:
                received.append(await anext(deliveries))
        return received

    *replayed, live = asyncio.run(run())
    times = [one.time for one in replayed]
    assert len(times) >= 30
    assert times == list(range(last - 30_000, times[-1] + 1, 1000))
    values = [msgspec.json.decode(one.data)[0]["values"][0]["value"] for one in replayed[:28]]
    assert values == [at / 1000 + 1 for at in times[:28]]
    assert not any(one.skipped for one in replayed)
    assert live.time - times[-1] == (live.skipped + 1) * 1000  # a busy machine may skip a round


def test_late_caller_gets_the_newest_round_and_the_number_of_skipped_ones(setup: Setup) -> None:
    async def run() -> list[Delivery]:
        async with aclosing(setup.rounds.deliveries(ALL, None, "json", encode_round)) as deliveries:
            first = await anext(deliveries)
            await asyncio.sleep(3.2)
            return [first, await anext(deliveries)]

    first, second = asyncio.run(run())
    assert second.time - first.time == (second.skipped + 1) * 1000
    assert second.skipped >= 2
    assert setup.rounds.statistics.skipped == second.skipped


def test_nothing_is_evaluated_without_a_subscriber(setup: Setup) -> None:
    async def run() -> int:
        await setup.receive(ALL, 2)
        async with asyncio.timeout(60):
            while setup.rounds.is_running:  # noqa: ASYNC110 -- the end sets no event
                await asyncio.sleep(0.05)
        before = len(setup.queries.queries)
        await asyncio.sleep(1.2)
        return len(setup.queries.queries) - before

    assert asyncio.run(run()) == 0


def test_limits_of_clients_metrics_nodes_and_values(setup: Setup) -> None:
    setup.rounds.connect()
    setup.rounds.connect()
    with pytest.raises(TooManyClientsError):
        setup.rounds.connect()
    setup.rounds.disconnect()
    setup.rounds.connect()
    for metrics, chosen in (([], None), ([f"m{n}" for n in range(101)], None), (["m"], [str(n) for n in range(1001)])):
        with pytest.raises(InvalidParameterError):
            subscription(metrics, chosen)

    async def run() -> None:
        async with contextlib.AsyncExitStack() as opened:
            for number in range(5):
                wanted = Subscription(tuple(f"m{number}_{n}" for n in range(100)))
                deliveries = setup.rounds.deliveries(wanted, None, "json", encode_round)
                await opened.enter_async_context(aclosing(deliveries))
                await anext(deliveries)
            with pytest.raises(LimitError, match="501 metrics"):
                await setup.rounds.check(Subscription(("node_load1",)), None)

    asyncio.run(run())
    write(setup.store, {labels("many", node=f"n{n}"): [(now() - 15_000, 1.0)] for n in range(MOST_VALUES + 1)})
    setup.rounds = Rounds(setup.store, setup.queries, setup.threads, now, interval=10_000)  # time for many series
    [delivery] = asyncio.run(setup.receive(Subscription(("many", "node_load1")), 1))
    many, load = msgspec.json.decode(delivery.data)
    assert (many["values"], str(MOST_VALUES) in many["error"]) == ([], True)
    assert len(load["values"]) == 3
