"""The endpoint that receives OTLP metrics over HTTP (opentelemetry.io/docs/specs/otlp/#otlphttp)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from metricat_hub.api.authorization import require
from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.sources.write.decompression import decompressed
from metricat_hub.sources.write.errors import DecodeError, TooLargeError
from metricat_hub.sources.write.protobuf import varint_bytes
from metricat_hub.use_cases.write import summary

if TYPE_CHECKING:
    from metricat_hub.api.receiver import Receiver
    from metricat_hub.use_cases.write import SampleWriter

_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_STATUS = {TooLargeError: 413, DecodeError: 400, StoreUnavailableError: 503}
_CODES = {400: 3, 413: 3, 415: 3, 503: 14}
"""Status codes of gRPC: INVALID_ARGUMENT and UNAVAILABLE."""


def route(writer: SampleWriter, receiver: Receiver) -> Route:
    """Return the route of the endpoint."""

    @require("write", "writes")
    async def otlp_metrics(request: Request) -> Response:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if media not in (_PROTOBUF, _JSON):
            return _status(415, f"content type {media[:100]!r} is not supported; send {_PROTOBUF} or {_JSON}", _JSON)
        if encoding not in ("identity", "gzip"):
            return _status(415, f"content encoding {encoding[:100]!r} is not supported; send gzip or none", media)
        try:
            return await receiver.run(
                request,
                lambda body: _write(
                    writer,
                    decompressed(body, receiver.limits.decompressed, "gzip") if encoding == "gzip" else body,
                    media,
                ),
            )
        except (TooLargeError, DecodeError, StoreUnavailableError) as error:
            return _status(_STATUS[type(error)], str(error), media)
        except ClientDisconnect:
            return Response(status_code=400)

    return Route("/v1/metrics", otlp_metrics, methods=["POST"])


def _write(writer: SampleWriter, body: bytes, media: str) -> Response:
    from metricat_hub.sources.write.otlp import decoder, messages  # noqa: PLC0415 -- few hubs receive OTLP

    request = messages.from_json(body) if media == _JSON else messages.from_protobuf(body)
    columns, rejected = decoder.decode(request)
    written = writer.write(columns)
    rejected += len(written.rejections)
    message = "\n".join(summary(columns, written))
    if media == _JSON:
        partial = {"rejectedDataPoints": str(rejected), "errorMessage": message}
        return Response(msgspec.json.encode({"partialSuccess": partial} if message else {}), media_type=_JSON)
    text = message.encode()
    partial_bytes = b"\x08" + varint_bytes(rejected) + b"\x12" + varint_bytes(len(text)) + text
    content = b"\x0a" + varint_bytes(len(partial_bytes)) + partial_bytes if message else b""
    return Response(content, media_type=_PROTOBUF)


def _status(status: int, message: str, media: str) -> Response:
    """Return an error as a `google.rpc.Status`, in the encoding of the request."""
    code = _CODES[status]
    headers = {"Retry-After": "5"} if status == 503 else None
    if media == _JSON:
        return Response(msgspec.json.encode({"code": code, "message": message}), status, headers, _JSON)
    text = message.encode()
    return Response(b"\x08" + bytes((code,)) + b"\x12" + varint_bytes(len(text)) + text, status, headers, _PROTOBUF)
