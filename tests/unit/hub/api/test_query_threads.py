"""Queries wait for a bounded number of threads: clients take turns, and no query waits for long."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request

from metricat_hub.access.principal import Principal
from metricat_hub.api.fair_queue import FairQueue, QueueFullError
from metricat_hub.api.problems import problem_of
from metricat_hub.api.query_threads import QueryThreads
from metricat_hub.model.errors import OverloadedError, QueryCanceledError, QueryTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message

    from metricat_hub.use_cases.cancellation import Cancellation

LIMIT = 60.0


class Client:
    """A client that can close its connection."""

    def __init__(self, name: str = "key") -> None:
        self.name = name
        self.gone = asyncio.Event()

    def request(self) -> Request:
        """Return a request of the client."""

        async def receive() -> Message:
            await self.gone.wait()
            return {"type": "http.disconnect"}

        principal = Principal(self.name, frozenset())
        scope = {"type": "http", "state": {"principal": principal}, "client": ("10.0.0.1", 1), "headers": []}
        return Request(scope, receive)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 -- another thread makes it true
            await asyncio.sleep(0.001)


class Blocked:
    """Work that runs until it is released."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.released = threading.Event()

    def __call__(self, _: Cancellation) -> str:
        self.started.set()
        assert self.released.wait(LIMIT)
        return "done"


def never(_: Cancellation) -> str:
    """Fail, because the query must not run."""
    pytest.fail("it ran")


def test_clients_take_turns_for_places() -> None:
    async def run() -> None:
        queue = FairQueue(1, 10)
        held = queue.enter("a")
        assert held.done()
        waiting = [(client, queue.enter(client)) for client in ("a", "a", "a", "b", "c", "b")]
        order = []
        queue.leave("a", held)
        while waiting:
            client, place = next(one for one in waiting if one[1].done())
            order.append(client)
            waiting.remove((client, place))
            queue.leave(client, place)
        assert order == ["a", "b", "c", "a", "b", "a"]
        assert (queue.free, queue.waiting) == (1, 0)

    asyncio.run(run())


def test_request_that_stops_waiting_leaves_the_queue() -> None:
    async def run() -> None:
        queue = FairQueue(1, 2)
        held, first, second = queue.enter("a"), queue.enter("a"), queue.enter("b")
        with pytest.raises(QueueFullError):
            queue.enter("c")
        queue.leave("a", first)
        queue.leave("a", held)
        assert second.done()
        queue.leave("b", second)
        assert (queue.free, queue.waiting) == (1, 0)

    asyncio.run(run())


def test_query_gets_503_with_a_time_to_retry_if_it_waits_for_too_long() -> None:
    async def run() -> None:
        threads = QueryThreads(1, LIMIT, longest_wait=0.01)
        work = Blocked()
        first = asyncio.create_task(threads.run(Client().request(), work))
        await until(work.started.is_set)
        with pytest.raises(OverloadedError, match=r"queries wait for a thread \(1\)\. Retry after 1 s") as raised:
            await threads.run(Client().request(), never)
        problem = problem_of(raised.value)
        assert (problem.status, problem.headers) == (503, {"Retry-After": "1"})
        work.released.set()
        assert await first == "done"
        assert await threads.run(Client().request(), lambda _: "next") == "next"
        counts = {one.name: one.value for one in threads.samples() if not one.labels}
        assert counts == {"metricat_hub_queries_finished": 2, "metricat_hub_queries_rejected": 1}
        threads.close()

    asyncio.run(run())


def test_queries_above_the_limit_of_waiting_ones_get_503_immediately() -> None:
    async def run() -> None:
        threads = QueryThreads(1, LIMIT, longest_wait=LIMIT)
        work = Blocked()
        tasks = [asyncio.create_task(threads.run(Client().request(), work)) for _ in range(1 + 64)]
        await until(lambda: threads.running == len(tasks))
        with pytest.raises(OverloadedError, match=r"queries wait for a thread \(64\)"):
            await threads.run_detached(never)
        work.released.set()
        assert await asyncio.gather(*tasks) == ["done"] * len(tasks)
        assert threads.running == 0
        threads.close()

    asyncio.run(run())


def test_query_of_a_client_with_few_queries_is_before_those_of_a_client_with_many() -> None:
    async def run() -> None:
        threads = QueryThreads(1, LIMIT, longest_wait=LIMIT)
        work = Blocked()
        order: list[str] = []
        first = asyncio.create_task(threads.run(Client("busy").request(), work))
        await until(work.started.is_set)
        tasks = []

        def noted(name: str, _: Cancellation) -> None:
            order.append(name)

        for name in ["busy"] * 5 + ["calm"]:
            tasks.append(asyncio.create_task(threads.run(Client(name).request(), partial(noted, name))))
            await until(lambda: threads.running == 1 + len(tasks))
        work.released.set()
        await asyncio.gather(first, *tasks)
        assert order == ["busy", "calm", "busy", "busy", "busy", "busy"]
        threads.close()

    asyncio.run(run())


def test_waiting_query_ends_when_its_client_disconnects_or_its_limit_passes() -> None:
    async def run() -> None:
        threads = QueryThreads(1, LIMIT)
        work, client = Blocked(), Client()
        first = asyncio.create_task(threads.run(Client().request(), work))
        await until(work.started.is_set)
        second = asyncio.create_task(threads.run(client.request(), never))
        await until(lambda: threads.running == 2)
        client.gone.set()
        with pytest.raises(QueryCanceledError):
            await second
        with pytest.raises(QueryTimeoutError):
            await threads.run(Client().request(), never, 0.01)
        work.released.set()
        assert await first == "done"
        assert await threads.run_detached(lambda _: 5) == 5
        threads.close()

    asyncio.run(run())


def test_place_of_an_abandoned_query_is_free_when_its_thread_ends() -> None:
    async def run() -> None:
        threads = QueryThreads(1, LIMIT, longest_wait=LIMIT)
        work, client = Blocked(), Client()
        first = asyncio.create_task(threads.run(client.request(), work))
        await until(work.started.is_set)
        client.gone.set()
        with pytest.raises(QueryCanceledError):
            await first
        second = asyncio.create_task(threads.run(Client().request(), lambda _: "second"))
        await until(lambda: threads.running == 1)
        assert not second.done()
        work.released.set()
        assert await second == "second"
        threads.close()

    asyncio.run(run())
