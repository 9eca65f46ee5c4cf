"""HTTP/1.1 client for scrapes, with one request at a time on a connection that stays open between scrapes.

It uses httptools, the parser of the hub's HTTP server. docs/design/0030-scraper.md compares it with aiohttp, httpx and
http.client.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import httptools

if TYPE_CHECKING:
    import ssl
    import zlib as library
    from collections.abc import Mapping
else:
    try:  # metricat-agent[fast] installs isal, which needs 40 % of zlib's time
        from isal import isal_zlib as library
    except ImportError:
        import zlib as library

_MOST_HEADER_BYTES = 256 * 1024
_MOST_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)


class FetchError(Exception):
    """A request failed, or its response is not usable. The message contains the cause."""


@dataclass(slots=True)
class Response:
    """A response, before decompression."""

    status: int = 0
    reason: str = ""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a connection, and its TLS settings."""

    scheme: str
    host: str
    port: int
    server_name: str = ""
    """The name to verify in the certificate; empty: the host."""


def endpoint_of(url: str, server_name: str = "") -> tuple[Endpoint, str, str]:
    """Return the endpoint, the value of the header Host, and the path with its query.

    Raises:
        FetchError: the URL is not valid.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise FetchError(f"invalid address in {url}: {error}; write HOST:PORT") from None
    if not host or parts.scheme not in {"http", "https"}:
        raise FetchError(f"invalid URL {url}; write http://HOST:PORT/PATH")
    endpoint = Endpoint(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), server_name)
    path = parts.path or "/"
    return endpoint, parts.netloc.rpartition("@")[2], f"{path}?{parts.query}" if parts.query else path


def _request(url: str, headers: Mapping[str, str], credentials: str, server_name: str) -> tuple[Endpoint, bytes]:
    endpoint, host, path = endpoint_of(url, server_name)
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    if credentials:
        lines.append(f"Authorization: {credentials}")
    return endpoint, "\r\n".join([*lines, "", ""]).encode()


class _Buffer(threading.local):
    """What all connections of a thread receive into: without it, asyncio allocates 256 KiB for each part of a body."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(128 * 1024))


_buffer = _Buffer()


class _Connection(asyncio.BufferedProtocol):
    """One connection. The parser calls its methods `on_...`."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.received = False
        """Whether a part of the response to the current request arrived."""
        self.closed = False
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._response = Response()
        self._chunks: list[bytes] = []
        self._size = self._head_size = self._limit = 0
        self._in_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]

    async def request(self, data: bytes, limit: int) -> Response:
        """Send a request and return its response, with a body below the limit; 0: no limit."""
        if self.transport is None or self.closed:
            raise FetchError("the connection is closed")
        self._parser = httptools.HttpResponseParser(self)
        self._response, self._chunks = Response(), []
        self._size = self._head_size = 0
        self._limit, self._in_body, self.received = limit, False, False
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        try:
            return await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = None

    def close(self) -> None:
        """Close the connection."""
        self.closed = True
        if self.transport is not None:
            self.transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next part is received."""
        del sizehint
        return _buffer.view

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what was received; without an open request, close the connection."""
        data = _buffer.view[:nbytes]
        if self._parser is None or self._waiter is None or self._waiter.done():
            self.close()
            return
        self.received = True
        if not self._in_body:
            self._head_size += nbytes
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("the target does not respond with HTTP/1.1; check address and scheme")
        except httptools.HttpParserError as error:
            if not self._waiter.done():
                self._fail(f"invalid HTTP response: {error}")
        if not self._in_body and self._head_size > _MOST_HEADER_BYTES:
            self._fail(f"the response has more than {_MOST_HEADER_BYTES} bytes of headers")

    def connection_lost(self, exc: Exception | None) -> None:
        """End the response: without a length, the end of the connection ends the body."""
        self.closed = True
        if self._waiter is None or self._waiter.done():
            return
        headers = self._response.headers
        if self._in_body and b"content-length" not in headers and b"transfer-encoding" not in headers and exc is None:
            self.on_message_complete()
        else:
            self._fail(f"the target closed the connection{f': {exc}' if exc else ''}")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._response.headers[name.lower()] = value

    def on_status(self, status: bytes) -> None:
        """Keep the reason of the status."""
        self._response.reason += status.decode(errors="replace")

    def on_headers_complete(self) -> None:
        """Keep the status."""
        self._in_body = True
        self._response.status = self._parser.get_status_code() if self._parser else 0

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body, up to the limit."""
        self._size += len(body)
        if self._limit and self._size >= self._limit:
            self._fail(
                f"the body reaches body_size_limit, which is {self._limit} bytes; if you expect this size, raise "
                "body_size_limit"
            )
            return
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        """Return the response."""
        if self._waiter is None or self._waiter.done():
            return
        if 100 <= self._response.status < 200:
            self._response = Response()
            self._in_body = False
            return
        self._response.body = b"".join(self._chunks)
        if self._parser is not None and not self._parser.should_keep_alive():
            self.closed = True
            if self.transport is not None:
                self.transport.close()
        self._waiter.set_result(self._response)

    def _fail(self, why: str) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(FetchError(why))


class Client:
    """Sends requests to one target, one request at a time."""

    def __init__(self) -> None:
        self._connection: _Connection | None = None
        self._endpoint: Endpoint | None = None
        self._context: ssl.SSLContext | None = None
        self._prepared: tuple[tuple[str, str], tuple[Endpoint, bytes]] | None = None

    def close(self) -> None:
        """Close the open connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def get(  # noqa: PLR0913 -- the parts of a request
        self,
        url: str,
        headers: Mapping[str, str],
        credentials: str,
        context: ssl.SSLContext | None,
        *,
        server_name: str,
        limit: int,
        redirects: bool,
    ) -> Response:
        """Send a GET request; return the response, after redirects.

        Args:
            url: the URL of the request.
            headers: headers of the request, except Host and Authorization.
            credentials: the header Authorization, not sent to other hosts after a redirect; empty: no header.
            context: TLS settings, for https.
            server_name: the name to verify in the certificate instead of the host's.
            limit: the body must have fewer bytes; 0: no limit.
            redirects: whether to follow redirects.

        Raises:
            FetchError: the target did not send a usable response.
        """
        if self._prepared is None or self._prepared[0] != (url, credentials):
            self._prepared = (url, credentials), _request(url, headers, credentials, server_name)
        endpoint, request = self._prepared[1]
        origin = endpoint
        for _ in range(_MOST_REDIRECTS + 1):
            response = await self._send(endpoint, request, context if endpoint.scheme == "https" else None, limit)
            location = response.headers.get(b"location")
            if not redirects or response.status not in _REDIRECTS or location is None:
                return response
            url = urljoin(url, location.decode(errors="replace"))
            endpoint, _ = _request(url, headers, "", server_name)
            endpoint, request = _request(url, headers, credentials if endpoint == origin else "", server_name)
        raise FetchError(f"more than {_MOST_REDIRECTS} redirects; set the last URL as address and metrics_path")

    async def _send(self, endpoint: Endpoint, request: bytes, context: ssl.SSLContext | None, limit: int) -> Response:
        kept = self._connection
        if kept is not None and not kept.closed and self._endpoint == endpoint and self._context is context:
            try:
                return await kept.request(request, limit)
            except FetchError:
                # The target may close an idle connection at any time. A new connection shows whether it is up.
                if kept.received:
                    raise
        self.close()
        connection = await _connect(endpoint, context)
        self._connection, self._endpoint, self._context = connection, endpoint, context
        return await connection.request(request, limit)


async def _connect(endpoint: Endpoint, context: ssl.SSLContext | None) -> _Connection:
    name = endpoint.server_name or None
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            _Connection,
            endpoint.host,
            endpoint.port,
            ssl=context,
            server_hostname=name if context else None,
        )
    except (OSError, ValueError) as error:
        raise FetchError(f"cannot connect to {endpoint.host}:{endpoint.port}: {error}") from None
    return connection


def decompress(body: bytes, limit: int) -> bytes:
    """Decompress a gzip body; raise `FetchError` if it is invalid, or reaches the limit in bytes; 0: no limit."""
    parts: list[bytes] = []
    size = 0
    while body:
        member = library.decompressobj(library.MAX_WBITS | 16)
        try:
            part = member.decompress(body, limit - size if limit else 0)
        except library.error as error:
            raise FetchError(f"invalid gzip body: {error}; set enable_compression to false") from None
        size += len(part)
        if limit and size >= limit:
            raise FetchError(
                f"the body reaches body_size_limit, which is {limit} bytes; if you expect this size, raise "
                "body_size_limit"
            )
        if not member.eof:
            raise FetchError("the gzip body is not complete; set enable_compression to false")
        parts.append(part)
        body = member.unused_data
    return b"".join(parts)
