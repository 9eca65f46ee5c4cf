"""Requests that arrive while an equal one is evaluated."""

from __future__ import annotations

import asyncio

import pytest
from starlette.responses import Response

from metricat_hub.api.single_flight import SingleFlight
from metricat_hub.model.errors import OverloadedError


class Evaluation:
    """Evaluations that end when they are released. The body is their number."""

    def __init__(self, status: int = 200) -> None:
        self.count = 0
        self.released = asyncio.Event()
        self._status = status

    async def __call__(self) -> Response:
        self.count += 1
        body = str(self.count)
        await self.released.wait()
        return Response(body, self._status, {"ETag": "one"})


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_requests_with_one_key_are_evaluated_once_and_get_their_own_headers() -> None:
    async def run() -> None:
        flights, evaluation = SingleFlight(), Evaluation()
        tasks = [asyncio.create_task(flights.run("a", evaluation)) for _ in range(3)]
        await _settle()
        evaluation.released.set()
        responses = await asyncio.gather(*tasks)
        assert [bytes(one.body) for one in responses] == [b"1"] * 3
        assert (evaluation.count, flights.merged) == (1, 2)
        responses[0].headers["ETag"] = "other"
        assert [one.headers["ETag"] for one in responses[1:]] == ["one", "one"]

    asyncio.run(run())


def test_requests_with_other_keys_or_after_the_end_are_evaluated() -> None:
    async def run() -> None:
        flights, evaluation = SingleFlight(), Evaluation()
        evaluation.released.set()
        for key in ("a", "b", "a"):
            await flights.run(key, evaluation)
        assert (evaluation.count, flights.merged) == (3, 0)

    asyncio.run(run())


@pytest.mark.parametrize("status", [304, 422])
def test_response_that_is_not_a_result_is_not_shared(status: int) -> None:
    async def run() -> None:
        flights, evaluation = SingleFlight(), Evaluation(status)
        tasks = [asyncio.create_task(flights.run("a", evaluation)) for _ in range(3)]
        await _settle()
        evaluation.released.set()
        await asyncio.gather(*tasks)
        assert evaluation.count == 3

    asyncio.run(run())


def test_next_request_evaluates_if_the_client_of_the_first_one_disconnects() -> None:
    async def run() -> None:
        flights, evaluation = SingleFlight(), Evaluation()
        first = asyncio.create_task(flights.run("a", evaluation))
        await _settle()
        second = asyncio.create_task(flights.run("a", evaluation))
        await _settle()
        first.cancel()
        await _settle()
        evaluation.released.set()
        assert bytes((await second).body) == b"2"

    asyncio.run(run())


def test_requests_with_one_key_share_the_error_of_an_overloaded_hub() -> None:
    async def run() -> None:
        flights, released, count = SingleFlight(), asyncio.Event(), 0

        async def evaluate() -> Response:
            nonlocal count
            count += 1
            await released.wait()
            raise OverloadedError("8 queries wait", 3)

        tasks = [asyncio.create_task(flights.run("a", evaluate)) for _ in range(3)]
        await _settle()
        released.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [(type(one), str(one), getattr(one, "seconds", 0)) for one in found] == [
            (OverloadedError, "8 queries wait", 3)
        ] * 3
        assert count == 1

    asyncio.run(run())
