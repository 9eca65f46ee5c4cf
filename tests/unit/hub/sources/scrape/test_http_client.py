"""The HTTP client against servers that are normal, slow, endless or hostile, with TLS and credentials from files."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from metricat_hub.sources.scrape.config import Authorization, BasicAuth, Credentials, Job, TlsConfig
from metricat_hub.sources.scrape.credentials import JobSecrets
from metricat_hub.sources.scrape.http_client import Client, FetchError, Response, decompress, endpoint_of
from support.certificates import self_signed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na 1\n"


class Server:
    """A server that answers each request with the next of some byte strings, and then closes the connection or not."""

    def __init__(self, *answers: bytes, close_after: int = 10**6) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self.close_after = close_after
        """Requests on a connection before the server closes it."""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for _ in range(self.close_after):
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                writer.write(answer)
                await writer.drain()
                if b"Connection: close" in answer:
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(server: Server, context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    made = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    server.port = made.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        made.close()


async def get(client: Client, url: str, context: ssl.SSLContext | None = None, **settings: Any) -> Response:
    given = {"server_name": "", "limit": 0, "redirects": True, **settings}
    credentials = given.pop("credentials", "")
    return await asyncio.wait_for(client.get(url, {"Accept": "*/*"}, credentials, context, **given), 20)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_connections_are_kept() -> None:
    async def test() -> None:
        async with serving(Server(OK)) as server:
            client = Client()
            for _ in range(3):
                assert (await get(client, f"http://127.0.0.1:{server.port}/m?a=b")).body == b"a 1\n"
            client.close()
            assert server.connections == 1
            expected = f"GET /m?a=b HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAccept: */*\r\n\r\n"
            assert server.requests == [expected.encode()] * 3

    run(test)


def test_a_connection_that_the_target_closed_is_replaced() -> None:
    async def test() -> None:
        async with serving(Server(OK, close_after=1)) as server:
            client = Client()
            for _ in range(3):
                assert (await get(client, f"http://127.0.0.1:{server.port}/")).status == 200
            client.close()
            assert server.connections == 3

    run(test)


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na 1\r\n1\r\n\n\r\n0\r\n\r\n", b"a 1\n"),
        (b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\na 1\n", b"a 1\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"a 1\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
def test_bodies_have_any_framing(answer: bytes, body: bytes) -> None:
    async def test() -> None:
        async with serving(Server(answer)) as server:
            client = Client()
            response = await get(client, f"http://127.0.0.1:{server.port}/")
            client.close()
            assert (response.status, response.body) == (200, body)

    run(test)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "the target closed the connection"),
        (b"Connection: close", "invalid HTTP response"),
        (b"SSH-2.0-OpenSSH_9\r\n", "invalid HTTP response"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\na 1\n",
            "the target closed the connection",
        ),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, "the response has more than 262144 bytes of headers"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"a" * 200,
            "the body reaches body_size_limit, which is 100",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 200, "the body reaches body_size_limit, which is 100 bytes"),
    ],
)
def test_unusable_responses_are_errors(answer: bytes, error: str) -> None:
    async def test() -> None:
        async with serving(Server(answer, close_after=1)) as server:
            client = Client()
            with pytest.raises(FetchError, match=error):
                await get(client, f"http://127.0.0.1:{server.port}/", limit=100)
            client.close()

    run(test)


def test_a_target_without_a_server_is_named() -> None:
    async def test() -> None:
        async with serving(Server(OK)) as server:
            pass
        with pytest.raises(FetchError, match=rf"cannot connect to 127\.0\.0\.1:{server.port}: "):
            await get(Client(), f"http://127.0.0.1:{server.port}/")

    run(test)


def test_credentials_stay_with_the_target_after_a_redirect() -> None:
    async def test() -> None:
        async with serving(Server(OK)) as other:
            moved = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:{other.port}/b\r\n\r\n"
            here = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /a\r\n\r\n"
            async with serving(Server(here, moved.encode())) as server:
                client = Client()
                response = await get(client, f"http://127.0.0.1:{server.port}/", credentials="Bearer secret")
                client.close()
                assert response.body == b"a 1\n"
                assert all(b"Authorization: Bearer secret" in request for request in server.requests)
                assert len(server.requests) == 2
                assert not any(b"secret" in request for request in other.requests)

    run(test)


def server_context(folder: Path, *, clients: str = "") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    if clients:
        context.load_verify_locations(folder / f"{clients}.crt")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_tls_verifies_the_target_and_presents_a_certificate(tmp_path: Path) -> None:
    for name in ("server", "client", "other"):
        self_signed(tmp_path, name)
    pair = TlsConfig(cert_file=f"{tmp_path}/client.crt", key_file=f"{tmp_path}/client.key")
    good = replace(pair, ca_file=f"{tmp_path}/server.crt", server_name="localhost")
    wrong = {
        "unknown authority": replace(pair, ca_file=f"{tmp_path}/other.crt", server_name="localhost"),
        "wrong name": replace(pair, ca_file=f"{tmp_path}/server.crt", server_name="example.org"),
        "no certificate": TlsConfig(ca_file=f"{tmp_path}/server.crt", server_name="localhost"),
    }
    unverified = replace(pair, insecure_skip_verify=True)

    async def test() -> None:
        async with serving(Server(OK), server_context(tmp_path, clients="client")) as server:

            async def fetch(tls: TlsConfig) -> int:
                _, context = JobSecrets(Job("j", tls=tls)).load(https=True)
                client = Client()
                try:
                    url = f"https://127.0.0.1:{server.port}/"
                    return (await get(client, url, context, server_name=tls.server_name)).status
                finally:
                    client.close()

            assert await fetch(good) == 200
            assert await fetch(unverified) == 200
            for tls in wrong.values():
                with pytest.raises(FetchError):
                    await fetch(tls)

    run(test)


def test_files_of_credentials_are_read_again_when_they_change(tmp_path: Path) -> None:
    self_signed(tmp_path, "ca")
    token = tmp_path / "token"
    token.write_text("one\n")
    job = Job(
        "j", authorization=Authorization(Credentials(file=str(token))), tls=TlsConfig(ca_file=f"{tmp_path}/ca.crt")
    )
    secrets = JobSecrets(job)
    first, context = secrets.load(https=True)
    assert first == "Bearer one"
    assert secrets.load(https=True) == (first, context)
    assert secrets.load(https=True)[1] is context
    token.write_text("three")
    self_signed(tmp_path, "ca")
    second, renewed = secrets.load(https=True)
    assert second == "Bearer three"
    assert renewed is not context
    token.unlink()
    with pytest.raises(FetchError, match=r"token cannot be read: No such file or directory"):
        secrets.load(https=True)


def test_basic_authentication_joins_name_and_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p:w\n")
    basic = BasicAuth(Credentials("anna"), Credentials(file=str(tmp_path / "password")))
    assert JobSecrets(Job("j", basic_auth=basic)).load(https=False) == ("Basic YW5uYTpwOnc=", None)


def test_error_names_the_invalid_tls_file(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("no certificate")
    with pytest.raises(FetchError, match=rf"tls_config: .*; check {tmp_path}/ca\.crt"):
        JobSecrets(Job("j", tls=TlsConfig(ca_file=f"{tmp_path}/ca.crt"))).load(https=True)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://h/x?y=z", ("h", 80, "h", "/x?y=z")),
        ("https://h:8443", ("h", 8443, "h:8443", "/")),
        ("http://[::1]:9100/m", ("::1", 9100, "[::1]:9100", "/m")),
    ],
)
def test_urls_lead_to_endpoints(url: str, found: tuple[str, int, str, str]) -> None:
    endpoint, host, path = endpoint_of(url)
    assert (endpoint.host, endpoint.port, host, path) == found


@pytest.mark.parametrize("url", ["http://h:x/", "http://h:99999/", "ftp://h/", "http:///x", "http://[::1/"])
def test_invalid_urls_are_errors(url: str) -> None:
    with pytest.raises(FetchError, match="invalid"):
        endpoint_of(url)


def test_decompressed_bodies_stay_below_the_limit() -> None:
    body = gzip.compress(b"a" * 1000)
    assert decompress(body, 0) == decompress(body, 1001) == b"a" * 1000
    assert decompress(body + gzip.compress(b"b"), 2000) == b"a" * 1000 + b"b"
    for limit in (1, 999, 1000):
        with pytest.raises(FetchError, match="body_size_limit"):
            decompress(body, limit)
    for damaged in (body[:-1], body[:20], b"\x1f\x8bxx", body + b"x"):
        with pytest.raises(FetchError, match="gzip body"):
            decompress(damaged, 0)
