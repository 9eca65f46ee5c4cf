"""Responses of the REST API with equal requests at the same time."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from metricat_hub.access.authenticators import Access
from metricat_hub.api.answers import Answers, Window
from metricat_hub.api.query_threads import QueryThreads
from metricat_hub.api.rest.responses import respond
from metricat_hub.api.services import Services
from metricat_hub.use_cases.late_samples import LateSamples

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from starlette.responses import Response

    from metricat_hub.use_cases.cancellation import Cancellation

HOUR = 3_600_000
NOW = 1_000 * HOUR
WAIT = 60.0


class Evaluation:
    """Work that ends when it is released. It counts how often it runs."""

    def __init__(self) -> None:
        self.count = 0
        self.released = threading.Event()

    def __call__(self, _services: Services, _cancellation: Cancellation) -> dict[str, int]:
        self.count += 1
        assert self.released.wait(WAIT)
        return {"value": 1}


async def _connected() -> MutableMapping[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.fixture
def app() -> Iterator[Starlette]:
    found = Starlette()
    threads = QueryThreads(4, WAIT)
    answers = Answers(None, lambda: NOW, 300_000, LateSamples(lambda: NOW))
    store = cast("Any", None)  # the work of the tests reads no samples
    found.state.services = Services(store=store, access=Access([]), now=lambda: NOW, threads=threads, answers=answers)
    yield found
    threads.close()


def _request(app: Starlette, tag: str = "") -> Request:
    headers = [(b"if-none-match", tag.encode())] if tag else []
    scope = {"type": "http", "app": app, "method": "GET", "path": "/history", "query_string": b"", "server": ("h", 1)}
    return Request({**scope, "headers": headers, "client": ("c", 1), "state": {}}, _connected)


def _at_once(app: Starlette, evaluation: Evaluation, *tags: str) -> list[Response]:
    """Return the responses to requests of which each starts before the first one is evaluated."""

    async def run() -> list[Response]:
        window = Window(("up",), NOW - HOUR)
        tasks = [asyncio.create_task(respond(_request(app, tag), evaluation, window)) for tag in tags]
        for _ in range(10):
            await asyncio.sleep(0)
        evaluation.released.set()
        return await asyncio.gather(*tasks)

    return asyncio.run(run())


@pytest.mark.parametrize("known", [0, 1, 2])
def test_one_evaluation_serves_clients_with_and_without_the_answer(app: Starlette, known: int) -> None:
    [first] = _at_once(app, Evaluation(), "")
    tag = first.headers["etag"]
    evaluation = Evaluation()
    tags = ["", "", ""]
    tags[known] = tag
    found = _at_once(app, evaluation, *tags)
    assert evaluation.count == 1
    assert [one.status_code for one in found] == [304 if given else 200 for given in tags]
    assert {one.headers["etag"] for one in found} == {tag}
    assert [bytes(one.body) for one in found] == [b"" if given else b'{"value":1}' for given in tags]


def test_any_answer_is_known_to_a_client_that_sends_an_asterisk(app: Starlette) -> None:
    [found] = _at_once(app, Evaluation(), "*")
    assert found.status_code == 304
