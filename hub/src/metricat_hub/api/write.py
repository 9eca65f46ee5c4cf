"""Endpoints that receive pushed samples."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from metricat_hub.api.authorization import require
from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.sources.write.decompression import decompressed
from metricat_hub.sources.write.errors import DecodeError, TooLargeError, UnsupportedMediaError
from metricat_hub.sources.write.remote_write import decode_1, decode_2
from metricat_hub.use_cases.write import SampleWriter, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.routing import BaseRoute

    from metricat_hub.sources.write.columns import Columns
    from metricat_hub.use_cases.write import Written

_LOG = logging.getLogger(__name__)
_VERSION_2 = "io.prometheus.write.v2.Request"
_MESSAGES = ("prometheus.WriteRequest", _VERSION_2)
_WRITTEN = "X-Prometheus-Remote-Write-{}-Written"
_NOTHING_WRITTEN = {_WRITTEN.format(kind): "0" for kind in ("Samples", "Histograms", "Exemplars")}


@dataclass(frozen=True, slots=True)
class WriteLimits:
    """Bounds on the memory and time that requests use."""

    body: int = 8 << 20
    """Bytes of a body as it arrives."""
    decompressed: int = 32 << 20
    """Bytes of a body after decompression."""
    running: int = 2
    """Requests that are decoded and stored at the same time. More would only wait for the interpreter."""
    waiting: int = 64
    """Requests that are received or wait for their turn. More get 503."""


class Receiver:
    """Receives bodies and runs the blocking work in threads, within limits."""

    def __init__(self, limits: WriteLimits) -> None:
        self.limits = limits
        self._threads: CapacityLimiter | None = None
        self._requests = 0

    async def run(self, request: Request, work: Callable[[bytes], Response]) -> Response:
        """Return the response that ``work`` makes of the body.

        Raises `TooLargeError`, and `StoreUnavailableError` above the limit of waiting requests.
        """
        if self._requests >= self.limits.waiting:
            raise StoreUnavailableError(f"{self._requests} writes are waiting. Retry later.")
        if self._threads is None:
            self._threads = CapacityLimiter(self.limits.running)  # needs a running event loop
        self._requests += 1
        try:
            body = await self._body(request)
            return await to_thread.run_sync(work, body, limiter=self._threads)
        finally:
            self._requests -= 1

    async def _body(self, request: Request) -> bytes:
        limit = self.limits.body
        parts: list[bytes] = []
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise TooLargeError(f"the body is larger than the limit of {limit} bytes. Send smaller batches.")
            parts.append(part)
        return b"".join(parts)


def routes(writer: SampleWriter, limits: WriteLimits | None = None) -> Sequence[BaseRoute]:
    """Return the routes that write to a store."""
    receiver = Receiver(limits or WriteLimits())

    @require("write")
    async def remote_write(request: Request) -> Response:
        try:
            is_version_2, encoding = _is_version_2(request), _encoding(request)
            return await receiver.run(
                request,
                lambda body: _remote_write(
                    writer, decompressed(body, receiver.limits.decompressed, encoding), is_version_2=is_version_2
                ),
            )
        except UnsupportedMediaError as error:
            return _text(415, error)
        except TooLargeError as error:
            return _text(413, error)
        except DecodeError as error:
            return _text(400, error)
        except StoreUnavailableError as error:
            return _text(503, error, {"Retry-After": "5"})
        except ClientDisconnect:
            return Response(status_code=400)

    return [Route("/api/v1/write", remote_write, methods=["POST"])]


def _remote_write(writer: SampleWriter, data: bytes, *, is_version_2: bool) -> Response:
    columns = decode_2(data) if is_version_2 else decode_1(data, writer.known())
    written = writer.write(columns)
    headers = {**_NOTHING_WRITTEN, _WRITTEN.format("Samples"): str(written.stored)}  # our agent reads it in 1.0 too
    if reasons := _reasons(columns, written):
        return _text(400, "\n".join(reasons), headers)
    return Response(status_code=204, headers=headers)


def _reasons(columns: Columns, written: Written) -> list[str]:
    """Return what the hub did not store, and why; empty if it stored everything but exemplars."""
    lines = summary(columns, written)
    if columns.histograms:
        lines.append(
            f"{columns.histograms} native histograms rejected: not supported. "
            "Scrape classic histograms, or do not send native ones (send_native_histograms: false)"
        )
    return lines


def _is_version_2(request: Request) -> bool:
    """Return whether the body is a message of version 2.0; raise `UnsupportedMediaError` for an unknown one."""
    media, *parameters = [part.strip() for part in request.headers.get("content-type", "").split(";")]
    if media.lower() not in ("", "application/x-protobuf"):
        raise UnsupportedMediaError(f"content type {media[:100]!r} is not supported; send application/x-protobuf")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "proto":
            message = value.strip().strip('"')
            if message not in _MESSAGES:
                raise UnsupportedMediaError(
                    f"protobuf message {message[:100]!r} is not supported; send {' or '.join(_MESSAGES)}"
                )
            return message == _VERSION_2
    return False


def _encoding(request: Request) -> str:
    """Return the content encoding: snappy as remote write requires, or gzip; raise `UnsupportedMediaError`."""
    encoding = request.headers.get("content-encoding", "snappy").strip().lower()
    if encoding not in ("snappy", "gzip"):
        raise UnsupportedMediaError(f"content encoding {encoding[:100]!r} is not supported; send snappy or gzip")
    return encoding


def _text(status: int, message: object, headers: dict[str, str] | None = None) -> Response:
    """Return an error as plain text: senders log the first line of it."""
    return PlainTextResponse(f"{message}\n", status, {**_NOTHING_WRITTEN, **(headers or {})})
