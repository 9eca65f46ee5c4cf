"""A cache follows an API server whose state goes back, and survives an object that it cannot handle."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration
from structlog.testing import capture_logs

from metricat_operator.cluster import client as client_module
from metricat_operator.cluster import watch as watch_module
from metricat_operator.cluster.client import Client
from metricat_operator.cluster.kinds import NODE
from metricat_operator.cluster.watch import Cache
from support.harness import free_port


def node(name: str, version: int) -> dict[str, Any]:
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": name, "uid": name, "resourceVersion": str(version)},
    }


class ApiServer:
    """Sends one list after another, and ends each watch after its events."""

    def __init__(self, *states: tuple[int, list[dict[str, Any]], list[dict[str, Any]]]) -> None:
        self.states = list(states)
        self.events: list[dict[str, Any]] = []
        self.watches = 0
        self.seconds = 0.05
        """Duration of the watches after the last list."""

    async def respond(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            version, items, self.events = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            metadata = {"resourceVersion": str(version)}
            return web.json_response({"kind": "NodeList", "metadata": metadata, "items": items})
        self.watches += 1
        response = web.StreamResponse()
        await response.prepare(request)
        for event in self.events:
            await response.write(json.dumps(event).encode() + b"\n")
        await asyncio.sleep(self.seconds if len(self.states) == 1 else 20)
        return response

    def follow(self, cache: Cache, until: Callable[[], bool]) -> None:
        """Run the cache against this server until the condition holds."""
        asyncio.run(self._follow(cache, until))

    async def _follow(self, cache: Cache, until: Callable[[], bool]) -> None:
        application = web.Application()
        application.router.add_get("/api/v1/nodes", self.respond)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        client = Client(Configuration(host=f"http://127.0.0.1:{port}"))
        task = asyncio.create_task(cache.run(client))
        try:
            async with asyncio.timeout(30):
                await _eventually(until, task)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await client.close()
            await runner.cleanup()


async def _eventually(until: Callable[[], bool], task: asyncio.Task[None]) -> None:
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    for _ in range(3000):
        assert not task.done()
        if until():
            return
        await pause(0.01)


def bookmark(version: int) -> dict[str, Any]:
    return {"type": "BOOKMARK", "object": {"kind": "Node", "metadata": {"resourceVersion": str(version)}}}


def versions(cache: Cache) -> dict[str, str]:
    return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in cache}


def test_older_states_replace_newer_ones_after_a_restore() -> None:
    restored: list[bool] = []
    cache = Cache(NODE, lambda _: None, lambda one: one, restored=lambda: restored.append(True))
    went_back = (100, [node("a", 100), node("b", 90)], [bookmark(50)])  # the event ends the watch
    server = ApiServer(went_back, (60, [node("a", 40)], []))
    server.follow(cache, lambda: versions(cache) == {"a": "40"})
    assert restored == [True]


def test_list_with_newer_version_is_not_a_restore() -> None:
    restored: list[bool] = []
    cache = Cache(NODE, lambda _: None, lambda one: one, restored=lambda: restored.append(True))
    expired = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
    server = ApiServer((100, [node("a", 100)], [bookmark(110), expired]), (120, [node("a", 100), node("b", 115)], []))
    server.follow(cache, lambda: versions(cache) == {"a": "100", "b": "115"})
    assert restored == []


def test_unexpected_error_does_not_end_the_watch() -> None:
    def trim(manifest: dict[str, Any]) -> dict[str, Any]:
        if manifest["metadata"]["name"] == "odd":
            raise KeyError("spec")
        return manifest

    cache = Cache(NODE, lambda _: None, trim)
    server = ApiServer((100, [node("odd", 100)], []), (101, [node("odd", 100)], []), (102, [node("a", 102)], []))
    server.follow(cache, lambda: versions(cache) == {"a": "102"})
    assert cache.synced.is_set()


def test_watch_without_bookmarks_is_started_again_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_WATCH_TIMEOUT", aiohttp.ClientTimeout(sock_read=0.2))
    monkeypatch.setattr(watch_module, "_SETTLED_SECONDS", 0.05)
    cache = Cache(NODE, lambda _: None, lambda one: one)
    server = ApiServer((1, [node("a", 1)], []), (2, [node("a", 2)], []), (2, [], []))  # the last one is not listed
    with capture_logs() as logged:
        server.follow(cache, lambda: versions(cache) == {"a": "2"})
    assert [one for one in logged if one["log_level"] != "debug"] == []


def test_stream_that_ends_at_once_is_an_outage_and_not_started_again_at_once() -> None:
    cache = Cache(NODE, lambda _: None, lambda one: one)
    server = ApiServer((100, [node("a", 100)], []))
    server.seconds = 0
    server.follow(cache, lambda: bool(cache.trouble(1)))
    assert 2 <= server.watches <= 10
    assert "the stream ended at once. Check the proxies" in cache.trouble(1)


def test_short_streams_with_events_are_started_once_a_second() -> None:
    cache = Cache(NODE, lambda _: None, lambda one: one)
    server = ApiServer((100, [node("a", 100)], [bookmark(101)]))
    server.seconds = 0

    def third_stream() -> bool:
        server.events = [bookmark(101 + server.watches)]
        return server.watches == 3

    began = time.monotonic()
    server.follow(cache, third_stream)
    assert time.monotonic() - began >= 2
    assert not cache.trouble(0)
