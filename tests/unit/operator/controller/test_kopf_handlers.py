"""The sessions of kopf limit every response, and kopf detects credentials that the API server rejected."""

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path

import kopf
import pytest
import yaml
from aiohttp import web

from metricat_operator.cluster import bounded_response
from metricat_operator.cluster.bounded_response import InvalidBodyError
from metricat_operator.controller.kopf_handlers import Sessions, settings
from support.harness import free_port


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(file))
    write(file, free_port(), "first")
    return file


def write(file: Path, port: int, token: str) -> None:
    named = {
        "clusters": {"cluster": {"server": f"http://127.0.0.1:{port}"}},
        "users": {"user": {"token": token}},
        "contexts": {"context": {"cluster": "a", "user": "a"}},
    }
    file.write_text(
        yaml.safe_dump({"current-context": "a", **{key: [{"name": "a", **one}] for key, one in named.items()}})
    )


async def login(sessions: Sessions) -> kopf.AiohttpSession:
    found = await sessions.login(settings=settings())
    assert found is not None
    return found


def read(kubeconfig: Path, url: str, response: Callable[[], web.Response]) -> bytes:
    """Return what kopf reads from the response of a server; kopf reads a watch in chunks."""

    async def respond(_: web.Request) -> web.StreamResponse:
        return response()

    async def request() -> bytes:
        application = web.Application()
        application.router.add_get("/{path:.*}", respond)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        write(kubeconfig, port, "first")
        sessions = Sessions()
        try:
            session = await login(sessions)
            async with session.aiohttp_session.get(session.server + url) as found:
                if "watch" in url:
                    return b"".join([data async for data in found.content.iter_chunked(1 << 20)])
                return await found.read()
        finally:
            await sessions.close()
            await runner.cleanup()

    return asyncio.run(asyncio.wait_for(request(), 30))


@pytest.mark.parametrize("url", ["/api", "/api?watch=true"])
@pytest.mark.parametrize("code", [200, 500])
def test_kopf_gets_an_error_for_a_large_response(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, url: str, code: int
) -> None:
    for limit in ("MAX_BYTES", "MAX_LINE", "_MAX_ERROR"):
        monkeypatch.setattr(bounded_response, limit, 1 << 17)
    assert read(kubeconfig, url, lambda: web.Response(status=code, body=bytes(1 << 17))) == bytes(1 << 17)
    with pytest.raises(InvalidBodyError, match="has more than 131072 bytes"):
        read(kubeconfig, url, lambda: web.Response(status=code, body=bytes((1 << 17) + 1)))


@pytest.mark.parametrize("code", [200, 401, 503])
def test_kopf_gets_an_error_for_a_compressed_response(kubeconfig: Path, code: int) -> None:
    bomb = gzip.compress(bytes(1 << 20))
    with pytest.raises(InvalidBodyError, match="the encoding 'gzip', which the request did not accept"):
        read(kubeconfig, "/api", lambda: web.Response(status=code, body=bomb, headers={"Content-Encoding": "gzip"}))


def test_equal_credentials_have_the_same_session(kubeconfig: Path) -> None:
    async def sessions() -> None:
        made = Sessions()
        first = await login(made)
        assert await login(made) == first
        write(kubeconfig, 1, "second")
        second = await login(made)
        assert second != first
        assert second.aiohttp_session.headers["Authorization"] == "Bearer second"
        await made.close()
        assert first.aiohttp_session.closed
        assert second.aiohttp_session.closed

    asyncio.run(sessions())
