"""As much of HTTP/1.1 (RFC 9112) as a scrape needs: the head of a request in, an answer out. Pure: no sockets.

Python's own http.server would do it too, but importing it costs 6 MiB of memory on every node.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEAD = 16 * 1024
"""Bytes of the longest head of a request that is read."""
REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
_GZIP_FLOOR = 1024
_GZIP_FORMAT = 16 + zlib.MAX_WBITS


class BadRequestError(Exception):
    """Not a request that can be answered; holds the status to say so with."""

    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request, names of headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    version: str = "HTTP/1.1"

    @property
    def keeps_alive(self) -> bool:
        """Whether another request may follow; not after a body, which nobody reads."""
        connection = self.headers.get("connection", "").lower()
        has_body = self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers
        return self.version == "HTTP/1.1" and "close" not in connection and not has_body

    @property
    def takes_gzip(self) -> bool:
        """Whether the answer may be compressed (RFC 9110, 12.5.3)."""
        codings = (coding.partition(";") for coding in self.headers.get("accept-encoding", "").lower().split(","))
        qualities = {name.strip(): _quality(parameters) for name, _, parameters in codings}
        return qualities.get("gzip", qualities.get("*", 0)) > 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body and what it is."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


def parse_head(head: bytes) -> Request:
    """Parse all up to the empty line; raise `BadRequestError` for what is none."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[1].startswith("/"):
        raise BadRequestError(400)
    method, target, version = words
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequestError(505 if version.startswith("HTTP/") else 400)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequestError(400)
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Request(method, target.partition("?")[0], headers, version)


def encode(answer: Answer, request: Request | None, *, close: bool) -> bytes:
    """Return an answer as it goes over the wire: compressed if the request takes that, without its body for HEAD."""
    body = answer.body
    headers = [("Content-Type", answer.content_type), *answer.headers]
    if len(body) >= _GZIP_FLOOR:
        headers.append(("Vary", "Accept-Encoding"))
        if request is not None and request.takes_gzip:
            body = _gzip(body)
            headers.append(("Content-Encoding", "gzip"))
    headers.append(("Content-Length", str(len(body))))
    if close:
        headers.append(("Connection", "close"))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    start = f"HTTP/1.1 {answer.status} {REASONS[answer.status]}\r\n{head}\r\n".encode("latin-1")
    return start if request is not None and request.method == "HEAD" else start + body


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1
    try:
        quality = float(value)
    except ValueError:
        return 0
    return 0 if isnan(quality) else quality


def _gzip(body: bytes) -> bytes:
    """Compress quickly: the network to Prometheus is near, the node's CPU is not ours."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, _GZIP_FORMAT)
    return compressor.compress(body) + compressor.flush()
