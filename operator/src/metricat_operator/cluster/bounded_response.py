"""The largest sizes of responses of the API server, for the HTTP sessions of our client and of kopf.

No session decompresses: a small body may decompress to any size, and aiohttp decompresses in the event loop.
"""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Self, cast

import aiohttp
from aiohttp.connector import Connection

MAX_BYTES = 32 << 20
"""Maximum size of a response in bytes. A page of the largest objects has about 20 MB."""
MAX_LINE = 4 << 20
"""Maximum size of a watch event in bytes. The API server accepts objects of at most 3 MB."""
_MAX_ERROR = 4 << 20
"""Maximum size of a response with an error in bytes. The API server sends a message."""
_LARGE = 2 << 20
"""A session reads one larger response at a time: many large ones would exceed the memory limit of the pod."""


class InvalidBodyError(aiohttp.ClientConnectionError):
    """The body is compressed or too large, so it is not the API server's.

    A `ClientConnectionError`, because kopf retries its request after one.
    """


def session_options() -> dict[str, Any]:
    """Return the arguments of an `aiohttp.ClientSession` that limit its responses."""
    return {
        "auto_decompress": False,
        "headers": {"Accept-Encoding": "identity"},
        "read_bufsize": 1 << 16,
        "response_class": partial(BoundedResponse, large=asyncio.Lock()),
    }


class BoundedResponse(aiohttp.ClientResponse):
    """A response whose reads raise `InvalidBodyError` above the limit. The limit of a watch applies to each line."""

    def __init__(self, *arguments: Any, large: asyncio.Lock, **more: Any) -> None:
        """`large` is held while a large response is read; the other arguments are those of the base class."""
        super().__init__(*arguments, **more)
        self._large = large

    async def start(self, connection: Connection) -> Self:
        """Receive the headers.

        Raises:
            InvalidBodyError: the body is compressed.
        """
        await super().start(connection)
        encoding = self.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in {"", "identity"}:
            raise InvalidBodyError(f"the response has the encoding {encoding[:40]!r}, which the request did not accept")
        lines = self.status == 200 and self.url.query.get("watch") == "true"
        limit = MAX_LINE if lines else MAX_BYTES if self.ok else _MAX_ERROR
        self.content = cast("aiohttp.StreamReader", _BoundedReader(self.content, limit, self._large, lines=lines))
        return self


class _BoundedReader:
    """The methods of a `StreamReader` that `Client`, kopf and aiohttp use."""

    def __init__(self, reader: aiohttp.StreamReader, limit: int, large: asyncio.Lock, *, lines: bool) -> None:
        self._reader = reader
        self._limit = limit
        self._large = large
        self._lines = lines
        self._count = 0

    async def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes, or the whole body."""
        if size >= 0:
            return self._counted(await self._reader.read(size))
        body = bytearray()
        try:
            async for data in self.iter_any():
                body += data
                if len(body) > _LARGE:
                    break
            else:
                return bytes(body)
            async with self._large:
                async for data in self.iter_any():
                    body += data
            return bytes(body)
        finally:
            body.clear()  # the traceback of an error holds this frame until the next garbage collection

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Yield the data as soon as it arrives."""
        while data := self._counted(await self._reader.readany()):
            yield data

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Yield chunks of at most `size` bytes."""
        while data := await self.read(size):
            yield data

    def exception(self) -> BaseException | None:
        """Return the error of the next read."""
        return self._reader.exception()

    def set_exception(self, error: BaseException) -> None:
        """Set the error of the next read."""
        self._reader.set_exception(error)

    def _counted(self, data: bytes) -> bytes:
        line = data.rfind(b"\n") + 1 if self._lines else 0
        self._count = len(data) - line + (0 if line else self._count)
        if self._count > self._limit:
            what = "a watch event" if self._lines else "the response"
            self._reader.read_nowait()  # free the buffer
            error = InvalidBodyError(f"{what} has more than {self._limit} bytes")
            self.set_exception(error)
            raise error
        return data
