"""The routes that receive pushed samples, and the endpoint of Prometheus remote write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from metricat_hub.api import collect, otlp
from metricat_hub.api.authorization import require
from metricat_hub.api.collect import BatchCollector
from metricat_hub.api.receiver import Receiver, WriteLimits
from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.sources.write.decompression import decompressed
from metricat_hub.sources.write.errors import DecodeError, TooLargeError, UnsupportedMediaError
from metricat_hub.sources.write.remote_write import decode_1, decode_2
from metricat_hub.store.sequence_log import SequenceLog
from metricat_hub.use_cases.write import SampleWriter, summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import BaseRoute

    from metricat_hub.sources.write.columns import Columns
    from metricat_hub.use_cases.write import Written

_VERSION_2 = "io.prometheus.write.v2.Request"
_MESSAGES = ("prometheus.WriteRequest", _VERSION_2)
_WRITTEN = "X-Prometheus-Remote-Write-{}-Written"
_NOTHING_WRITTEN = {_WRITTEN.format(kind): "0" for kind in ("Samples", "Histograms", "Exemplars")}


def routes(
    writer: SampleWriter,
    limits: WriteLimits | None = None,
    log: SequenceLog | None = None,
    collector: BatchCollector | None = None,
) -> Sequence[BaseRoute]:
    """Return the routes that write to a store. `log` records the sequence numbers of batches; None: only in memory."""
    receiver = Receiver(limits or WriteLimits())
    return [
        _remote_write_route(writer, receiver),
        collect.route(collector or batch_collector(writer, log or SequenceLog(None), receiver.limits), receiver),
        otlp.route(writer, receiver),
    ]


def batch_collector(writer: SampleWriter, log: SequenceLog, limits: WriteLimits | None = None) -> BatchCollector:
    """Return the object that stores JSON batches, which HTTP and gRPC share."""
    return BatchCollector(writer, log, (limits or WriteLimits()).batches_per_minute)


def _remote_write_route(writer: SampleWriter, receiver: Receiver) -> Route:
    @require("write", "writes")
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

    return Route("/api/v1/write", remote_write, methods=["POST"])


def _remote_write(writer: SampleWriter, data: bytes, *, is_version_2: bool) -> Response:
    columns = decode_2(data, writer.symbols) if is_version_2 else decode_1(data, writer.known())
    written = writer.write(columns)
    # the agent sends version 1.0 and also reads these headers
    headers = {**_NOTHING_WRITTEN, _WRITTEN.format("Samples"): str(written.stored)}
    if reasons := _reasons(columns, written):
        return _text(400, "\n".join(reasons), headers)
    return Response(status_code=204, headers=headers)


def _reasons(columns: Columns, written: Written) -> list[str]:
    """Return the parts that the hub did not store, with reasons; empty if it stored everything but exemplars."""
    lines = summary(columns, written)
    if columns.histograms:
        lines.append(
            f"{columns.histograms} native histograms were rejected, because the hub does not support them. "
            "Scrape classic histograms, and set send_native_histograms: false"
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
