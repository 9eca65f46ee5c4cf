"""A proxy before the API server that injects faults: wrong statuses, broken bodies, resets, stalls, certificates.

It terminates TLS with an authority of its own and opens a connection to the API server for each request.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
import time
import weakref
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from metricat_tools.cluster.pki import Authority

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_LIMIT = 1 << 20
_HANDSHAKE_SECONDS = 0.2
_HOSTS = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Request:
    """A request as the client sent it."""

    method: str
    url: str
    headers: dict[str, str]
    raw: bytes = field(repr=False)

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @cached_property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.url).query)

    @property
    def watches(self) -> bool:
        return self.query.get("watch") == ["true"]

    @property
    def discovers(self) -> bool:
        parts = self.path.strip("/").split("/")
        return self.method == "GET" and len(parts) <= (3 if parts[0] == "apis" else 2)

    @property
    def lists(self) -> bool:
        return self.method == "GET" and not self.watches and ("limit" in self.query or "continue" in self.query)


Match = Callable[[Request], bool]
Fault = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def everything(_: Request) -> bool:
    return True


def lists(request: Request) -> bool:
    return request.lists


def watches(request: Request) -> bool:
    return request.watches


def discovery(request: Request) -> bool:
    return request.discovers


def writes(request: Request) -> bool:
    return request.method in {"PATCH", "DELETE"}


def leases(request: Request) -> bool:
    return "/leases" in request.path or "/leaderfences" in request.path


def reviews(request: Request) -> bool:
    return "reviews" in request.path


def kopf(request: Request) -> bool:
    return request.headers.get("user-agent", "").startswith("kopf")


def answer(status: int, body: bytes, headers: dict[str, str] | None = None, *, announced: int | None = None) -> Fault:
    """Return a response. `announced` is its Content-Length if it differs from the length of the body."""
    length = len(body) if announced is None else announced
    fields = {"Content-Type": "application/json", "Content-Length": str(length), "Connection": "close"}
    lines = [f"HTTP/1.1 {status} Fault", *(f"{key}: {value}" for key, value in (fields | (headers or {})).items())]
    head = "\r\n".join([*lines, "", ""]).encode()

    async def respond(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head + body)
        await writer.drain()

    return respond


def status(code: int, headers: dict[str, str] | None = None) -> Fault:
    """Return an error as the API server sends it."""
    content = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "injected", "code": code}
    return answer(code, json.dumps({**content, "reason": "Injected", "metadata": {}}).encode(), headers)


def too_many_requests(retry_after: str) -> Fault:
    return status(429, {"Retry-After": retry_after})


async def too_many_requests_with_date(request: Request, writer: asyncio.StreamWriter) -> None:
    """Send 429 with a date in two seconds, as RFC 9110 allows."""
    await too_many_requests(formatdate(time.time() + 2, usegmt=True))(request, writer)


async def reset(_: Request, writer: asyncio.StreamWriter) -> None:
    """Reset the connection."""
    raw: socket.socket | None = writer.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def stall(_: Request, __: asyncio.StreamWriter) -> None:
    """Never respond. The proxy closes the connection when it removes the fault."""
    await asyncio.Event().wait()


_HALF = b'{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"na'
_HTML = b"<!DOCTYPE html><html><title>Sign in</title><form action=/login></form></html>"
_EXPIRED = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "message": "too old",
    "reason": "Expired",
    "code": 410,
}


_GZIP = {"Content-Encoding": "gzip"}


async def gzip_bomb(request: Request, writer: asyncio.StreamWriter) -> None:
    await answer(200, _bomb(), _GZIP)(request, writer)


@cache
def _bomb() -> bytes:
    """Return a small body that decompresses to 256 MiB."""
    made = zlib.compressobj(wbits=31)
    return b"".join(made.compress(bytes(1 << 20)) for _ in range(256)) + made.flush()


def endless(code: int, parts: tuple[bytes, bytes], headers: dict[str, str] | None = None) -> Fault:
    """Return a response without an end. It repeats the second part."""
    fields = {"Content-Type": "application/json", "Connection": "close", **(headers or {})}
    lines = [f"HTTP/1.1 {code} Fault", *(f"{key}: {value}" for key, value in fields.items())]
    head = "\r\n".join([*lines, "", ""]).encode()
    begin, part = parts

    async def respond(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head + begin)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)  # drain() does not yield to other connections, or to the end of this one

    return respond


def _gzip_blocks() -> tuple[bytes, bytes]:
    """Return the begin of a gzip stream, and a block that may follow any number of times. Each has 1 MiB of zeros."""
    made = zlib.compressobj(wbits=31)
    first, second = (made.compress(bytes(1 << 20)) + made.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first, second


async def http_1_0(_: Request, writer: asyncio.StreamWriter) -> None:
    """Send half a body as an HTTP/1.0 server: nothing but the end of the connection ends it."""
    writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + _HALF)
    await writer.drain()


async def redirect_to_itself(request: Request, writer: asyncio.StreamWriter) -> None:
    await answer(307, b"", {"Location": request.url})(request, writer)


FAULTS: dict[str, Fault] = {
    "429, date": too_many_requests_with_date,
    "429, 1 s": too_many_requests("1"),
    "429, 120 s": too_many_requests("120"),
    "429, garbage": too_many_requests("soon"),
    "429, negative": too_many_requests("-5"),
    "410": status(410),
    "401": status(401),
    "403": status(403),
    "404": status(404),
    "409": status(409),
    "413": answer(413, _HTML, {"Content-Type": "text/html"}),
    "422": status(422),
    "422, free reason": answer(422, b'{"kind":"Status","code":422,"reason":"not signed: a b","message":"injected"}'),
    "500, 1 MB message": answer(500, json.dumps({"code": 500, "message": "injected " * 120_000}).encode()),
    "500, infinite code": answer(500, b'{"code":1e999,"message":"injected"}'),
    "504, error event": answer(200, b'{"type":"ERROR","object":{"kind":"Status","code":504,"message":"injected"}}\n'),
    "500": status(500),
    "503": status(503),
    "503, HTML": answer(503, _HTML, {"Content-Type": "text/html"}),
    "504, invalid UTF-8": answer(504, b"\xff\xfe\xfa", {"Content-Type": "text/plain; charset=utf-8"}),
    "502, unknown charset": answer(502, b"x", {"Content-Type": "text/plain; charset=klingon"}),
    "200, cut": answer(200, _HALF, announced=4096),
    "200, half": answer(200, _HALF),
    "200, HTML": answer(200, _HTML, {"Content-Type": "text/html"}),
    "200, empty": answer(200, b""),
    "200, invalid UTF-8": answer(200, b'{"kind":"\xff\xfe"}'),
    "200, []": answer(200, b"[]"),
    "200, null": answer(200, b"null"),
    "200, {}": answer(200, b"{}"),
    "200, wrong types": answer(200, b'{"kind":7,"metadata":[],"items":{"a":1},"type":3,"object":null}\n'),
    "200, gzip garbage": answer(200, b"\x1f\x8bgarbage", {"Content-Encoding": "gzip"}),
    "200, expired event": answer(200, json.dumps({"type": "ERROR", "object": _EXPIRED}).encode() + b"\n"),
    "200, error event": answer(200, b'{"type":"ERROR","object":{"kind":"Status","message":"injected"}}\n'),
    "200, gzip bomb": gzip_bomb,
    "200, endless": endless(200, (b'{"kind":"', b"a" * (1 << 20))),
    "200, endless gzip": endless(200, _gzip_blocks(), _GZIP),
    "500, endless": endless(500, (b'{"kind":"', b"a" * (1 << 20))),
    "200, cut in a character": answer(200, b'{"kind":"List","metadata":{"name":"\xf0\x9f'),
    "200, same page again": answer(
        200, b'{"kind":"NodeList","metadata":{"resourceVersion":"1","continue":"x"},"items":[]}'
    ),
    "200, HTTP/1.0": http_1_0,
    "307, to itself": redirect_to_itself,
    "302, sign-in": answer(302, b"", {"Location": "/login"}),
    "no HTTP": answer(0, b"\x00\x01\x02"),
    "reset": reset,
    "stall": stall,
}
"""Every fault by name. The proxy has methods for refused connections and for other certificates."""


@dataclass
class FaultProxy:
    """The proxy, in a thread of its own. Leaving its context stops it."""

    upstream: str
    upstream_ca: Path
    folder: Path
    port: int = 0
    hits: int = 0
    """Number of requests that got a fault."""
    _rule: tuple[Match, Fault] | None = None
    _streams: dict[asyncio.Task[Any], Request] = field(default_factory=dict)
    _transports: weakref.WeakSet[asyncio.WriteTransport] = field(default_factory=weakref.WeakSet)
    _ended: bool = False
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _server: asyncio.Server | None = None
    _authorities: int = 0

    def __enter__(self) -> Self:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.change_authority()
        self._loop.set_exception_handler(lambda *_: None)  # of connections that a fault broke
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy")
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._call(self._abort())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        """The certificate of the current authority."""
        return self._authority.pair.certificate

    def change_authority(self) -> None:
        """Use a certificate of a new authority for new connections, as after a rotation."""
        self._authorities += 1
        self._authority = Authority(self.folder / f"proxy-{self._authorities}")
        self._authority.create()
        pair = self._authority.issue("proxy", "proxy", hosts=_HOSTS)
        self._context.load_cert_chain(pair.certificate, pair.key)

    @contextmanager
    def inject(self, fault: Fault, match: Match = everything) -> Iterator[None]:
        """Inject the fault into each matching request while the context is open.

        Close open connections at its start and end.
        """
        self.hits = 0
        self._rule = match, fault
        self.drop(match)
        try:
            yield
        finally:
            self._rule = None
            self.drop(match)

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Refuse connections while the context is open."""
        self._call(self._close())
        self.hits = 1
        try:
            yield
        finally:
            self._call(self._listen())

    def drop(self, match: Match = everything) -> None:
        """Close the connections of matching requests."""
        self._call(self._drop(match))

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._context, limit=_LIMIT, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._drop(everything)

    async def _abort(self) -> None:
        """End every connection, also those that read a request, shake hands or close. Otherwise their sockets leak."""
        self._ended = True
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await asyncio.sleep(_HANDSHAKE_SECONDS)
        for transport in list(self._transports):
            transport.abort()
        await asyncio.sleep(0)

    async def _drop(self, match: Match) -> None:
        for task in [task for task, request in self._streams.items() if match(request)]:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._transports.add(writer.transport)
        try:
            if self._ended:
                raise ConnectionAbortedError
            request = await _read(reader)
            self._streams[task] = request
            if self._rule is not None and self._rule[0](request):
                self.hits += 1
                await self._rule[1](request, writer)
            else:
                await self.forward(request, writer)
            writer.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._streams.pop(task, None)

    async def forward(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Send the request to the API server and its response to the client, as without a fault."""
        parts = urlsplit(self.upstream)
        upstream, forward = await asyncio.open_connection(
            parts.hostname, parts.port, ssl=ssl.create_default_context(cafile=str(self.upstream_ca)), limit=_LIMIT
        )
        try:
            forward.write(request.raw)
            while data := await upstream.read(1 << 16):
                writer.write(data)
                await writer.drain()
        finally:
            forward.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Request:
    """Read a request; its connection to the API server ends with the response."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, url, _ = first.split(" ")
    headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    kept = [line for line in lines if not line.lower().startswith("connection:")]
    raw = "\r\n".join([first, *kept, "Connection: close", "", ""]).encode("latin-1") + body
    return Request(method, url, headers, raw)
