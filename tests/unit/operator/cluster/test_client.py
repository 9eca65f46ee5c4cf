"""Requests have the expected body, and no response of a proxy has an effect beyond an `ApiError`."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import yaml
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.aio.client import Configuration

from metricat_operator.cluster import bounded_response
from metricat_operator.cluster.client import ApiError, Client, as_yaml
from metricat_operator.cluster.kinds import NODE
from support.harness import free_port


@given(st.dictionaries(st.text(max_size=20), st.text() | st.lists(st.text(st.characters(min_codepoint=0x7F)))))
def test_apply_body_is_valid_yaml_for_any_text(content: dict[str, object]) -> None:
    assert yaml.safe_load(as_yaml(content)) == content


def test_apply_body_has_no_surrogate_pairs() -> None:
    assert as_yaml({"a": "🦊é\u2028\x7f\\ud83e"}) == '{"a": "🦊\\u00e9\\u2028\\u007f\\\\ud83e"}'


@asynccontextmanager
async def client_of(respond: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[Client]:
    application = web.Application()
    application.router.add_get("/{path:.*}", respond)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    client = Client(Configuration(host=f"http://127.0.0.1:{port}"))
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


def error_of(response: Callable[[], web.Response], *, lists: bool = False, watches: bool = False) -> ApiError:
    """Return the error of a request to which a server sends this response."""

    async def respond(_: web.Request) -> web.StreamResponse:
        return response()

    async def request() -> None:
        async with client_of(respond) as client:
            if lists:
                async for items, _ in client.pages(NODE):
                    items.clear()
            elif watches:
                async for _ in client.watch(NODE, "1"):
                    pass
            else:
                await client.get(NODE, "", "a")

    with pytest.raises(ApiError) as raised:
        asyncio.run(asyncio.wait_for(request(), 30))
    return raised.value


def status(**fields: object) -> Callable[[], web.Response]:
    return lambda: web.Response(status=500, body=json.dumps({"kind": "Status", "code": 500, **fields}))


@pytest.mark.parametrize(
    ("reason", "kept"), [("Invalid", "Invalid"), ("not signed: a", "Unknown"), ("A" * 2000, "Unknown"), ("", "Unknown")]
)
def test_reason_that_no_condition_may_have_is_replaced(reason: str, kept: str) -> None:
    assert error_of(status(reason=reason, message="denied")).reason == kept


def test_long_message_is_cut() -> None:
    assert len(str(error_of(status(message="x" * 100_000)))) == 4096


def test_code_that_is_not_finite_is_an_error_of_the_request() -> None:
    found = error_of(lambda: web.Response(status=502, body=b'{"code": 1e999, "message": "x"}'))
    assert found.status == 502


def test_compressed_response_is_invalid() -> None:
    headers = {"Content-Encoding": "gzip"}
    found = error_of(lambda: web.Response(body=gzip.compress(bytes(1 << 18)), headers=headers))
    assert "the response has the encoding 'gzip', which the request did not accept. Check the proxies" in str(found)
    assert found.temporary


@pytest.mark.parametrize("code", [200, 500])
def test_response_above_the_limit_is_invalid(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(bounded_response, "MAX_BYTES" if code == 200 else "_MAX_ERROR", 1 << 17)
    found = error_of(lambda: web.Response(status=code, body=bytes(1 << 18)))
    assert "the response has more than 131072 bytes. Check the proxies" in str(found)
    assert found.temporary


def test_watch_event_without_an_end_is_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_response, "MAX_LINE", 1 << 17)
    found = error_of(lambda: web.Response(body=bytes(1 << 18)), watches=True)
    assert "a watch event has more than 131072 bytes" in str(found)


def test_watch_may_exceed_the_limit_of_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_response, "MAX_LINE", 1 << 10)
    event = json.dumps({"type": "BOOKMARK", "object": {"kind": "Node", "metadata": {"resourceVersion": "7"}}}) + "\n"

    async def respond(_: web.Request) -> web.StreamResponse:
        return web.Response(text=event * 100)

    async def count() -> int:
        async with client_of(respond) as client:
            return len([one async for one in client.watch(NODE, "1")])

    assert asyncio.run(asyncio.wait_for(count(), 30)) == 100


def test_list_that_continues_with_the_same_page_is_invalid() -> None:
    page = {"kind": "NodeList", "metadata": {"resourceVersion": "1", "continue": "x"}, "items": []}
    found = error_of(lambda: web.json_response(page), lists=True)
    assert "the list continues with the same page" in str(found)
