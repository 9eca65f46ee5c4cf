"""The part of HTTP/1.1 (RFC 9112) that a scrape needs: parse request heads, encode responses. Pure: no sockets.

Importing Python's http.server instead would cost 6 MiB of memory on every node.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from metricat_agent.exposition.compression import gzipped
from metricat_agent.host.ascii_text import BLANKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_HEAD = 16 * 1024
"""Maximum size of a request's head, in bytes."""
METHODS = ("GET", "HEAD")
REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
_GZIP_MIN_BYTES = 1024
_END_OF_LINE = re.compile(r"\r?\n")
_ABSOLUTE = re.compile(r"\Ahttps?://[^/?]+/?", re.IGNORECASE)
"""Scheme and authority of a request target in absolute form, as clients send it to a proxy (RFC 9112, 3.2.2)."""
_QUALITY = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_ESCAPE = re.compile(rb"%([0-9a-fA-F]{2})")


class BadRequestError(Exception):
    """The bytes are not a valid request; holds the status of the response."""

    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status


@dataclass(frozen=True)
class Request:
    """The head of a request, with header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    version: str = "HTTP/1.1"
    query: str = ""

    @property
    def keeps_alive(self) -> bool:
        """Whether another request may follow. Not after a body, because the server does not read bodies."""
        connection = self.headers.get("connection", "").lower()
        has_body = self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers
        return self.version == "HTTP/1.1" and "close" not in connection and not has_body

    @cached_property
    def accepts_gzip(self) -> bool:
        """Whether the response may be compressed (RFC 9110, 12.5.3)."""
        qualities = {name: quality for name, _, quality in parse_preferences(self.headers.get("accept-encoding", ""))}
        return qualities.get("gzip", qualities.get("*", 0)) > 0

    @cached_property
    def prefers_openmetrics(self) -> bool:
        """Whether the client prefers OpenMetrics at least as much as plain text."""
        best = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
        for name, parameters, quality in parse_preferences(self.headers.get("accept", "")):
            if name in best and not (name.startswith("app") and parameters.get("version", "1.0.0") != "1.0.0"):
                best[name] = max(best[name], quality)
        return 0 < best["application/openmetrics-text"] >= best["text/plain"]

    def values(self, name: str) -> list[str]:
        """Return the values of a query parameter, in their order."""
        pairs = (part.partition("=") for part in self.query.split("&"))
        return [unescape(value) for key, _, value in pairs if unescape(key) == name]


@dataclass(frozen=True, slots=True)
class Response:
    """A response: its status, its body, the type of the body, and further headers."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    gzipped: Callable[[], bytes] | None = None
    """Returns the compressed body, if the caller keeps it for several responses."""


def unescape(text: str) -> str:
    """Undo the escapes of a query (``%5B`` and ``+``)."""
    raw = text.replace("+", " ").encode("latin-1", "replace")
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), raw).decode("utf-8", "replace")


def parse_preferences(header: str) -> list[tuple[str, dict[str, str], float]]:
    """Parse a list such as ``text/plain;version=0.0.4;q=0.5, */*``: names, parameters, qualities (RFC 9110, 12.4)."""
    found = []
    for item in header.lower().split(","):
        name, *rest = (part.strip(BLANKS) for part in item.split(";"))
        parameters = {
            key.strip(BLANKS): value.strip(BLANKS) for key, _, value in (part.partition("=") for part in rest)
        }
        found.append((name, parameters, _quality(parameters.get("q", "1"))))
    return found


def parse_head(head: bytes) -> Request:
    """Parse a head up to the empty line; raise `BadRequestError` if it is invalid."""
    first, *lines = _END_OF_LINE.split(head.decode("latin-1"))
    words = first.split(" ")
    if len(words) != 3 or not first.isprintable():  # the line may appear in a log
        raise BadRequestError(400)
    method, target, version = words
    target = _ABSOLUTE.sub("/", target)
    if not target.startswith("/") and method in METHODS:  # other methods may have another target (RFC 9112, 3.2)
        raise BadRequestError(400)
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequestError(505 if version.startswith("HTTP/") else 400)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip(BLANKS):
            raise BadRequestError(400)
        name, value = name.lower(), value.strip(BLANKS)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path, _, query = target.partition("?")
    return Request(method, path, headers, version, query)


def encode_response(response: Response, request: Request | None, *, close: bool) -> bytes:
    """Return a response as bytes, without the body for HEAD.

    A body of at least 1 KiB is compressed if the request accepts gzip.
    """
    body = response.body
    headers = [("Content-Type", response.content_type), *response.headers]
    if len(body) >= _GZIP_MIN_BYTES:
        headers.append(("Vary", "Accept-Encoding"))
        if request is not None and request.accepts_gzip:
            body = response.gzipped() if response.gzipped is not None else gzipped(body)
            headers.append(("Content-Encoding", "gzip"))
    headers.append(("Content-Length", str(len(body))))
    if close:
        headers.append(("Connection", "close"))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    start = f"HTTP/1.1 {response.status} {REASONS[response.status]}\r\n{head}\r\n".encode("latin-1")
    return start if request is not None and request.method == "HEAD" else start + body


def _quality(text: str) -> float:
    return float(text) if _QUALITY.fullmatch(text) else 0
