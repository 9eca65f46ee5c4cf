"""Probes by HTTP/1.1."""

from __future__ import annotations

import time
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, cast
from urllib.parse import urljoin, urlsplit

from metricat_agent import __version__
from metricat_agent.probes.connection import connect
from metricat_agent.probes.result import ProbeError
from metricat_agent.probes.target import PORTS

if TYPE_CHECKING:
    from socket import socket

    from metricat_agent.probes.connection import Connection, Deadline
    from metricat_agent.probes.result import Result
    from metricat_agent.probes.target import Target

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 10
_MOST_BYTES = 1 << 20
"""The most bytes of a body that the probe reads, and searches for the pattern."""


def probe(target: Target, deadline: Deadline, result: Result) -> None:
    """Request the URL, and follow redirects; raise `ProbeError` unless the response meets the target's criteria."""
    url, method, result.redirects = target.url, target.method, 0
    while True:
        response = _request(target, url, method, deadline, result)
        location = response.getheader("Location")
        if not target.follow_redirects or response.status not in _REDIRECTS or not location:
            break
        result.redirects += 1
        if result.redirects > _MOST_REDIRECTS:
            raise ProbeError("protocol", f"more than {_MOST_REDIRECTS} redirects")
        if response.status == 303:
            method = "HEAD" if method == "HEAD" else "GET"
        url = _redirected(url, location)
    if response.status not in target.status_codes:
        raise ProbeError("status", f"{url} returned the status {response.status}")
    if result.matched is False:
        raise ProbeError("body", f"the body of {url} does not match body_pattern")


def _redirected(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise ProbeError("protocol", f"a redirect leads to an invalid URL: {error}") from error


def _request(target: Target, url: str, method: str, deadline: Deadline, result: Result) -> HTTPResponse:
    """Send one request, read its response and close the connection; set what it found in the result."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise ProbeError("protocol", f"a redirect leads to an invalid URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ProbeError("protocol", f"a redirect leads to {url}, which is not an http or https URL")
    result.ended_with_tls = parts.scheme == "https"
    connection = connect(target, host, port, deadline, result)
    try:
        if result.ended_with_tls:
            from metricat_agent.probes.tls import handshake  # noqa: PLC0415 -- ssl needs 3 MiB

            connection = handshake(target, host, connection, deadline, result)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        same_host = (parts.scheme, host, port) == (target.scheme, target.host, target.port)
        head = _head(target, method, path, parts.netloc.rpartition("@")[2], with_token=same_host)
        return _exchange(target, connection, head, method, result)
    except (TimeoutError, HTTPException, OSError, ValueError) as error:
        reason = "timeout" if isinstance(error, TimeoutError) else "protocol"
        raise ProbeError(reason, f"{url}: {error or type(error).__name__}") from error
    finally:
        connection.close()


def _head(target: Target, method: str, path: str, host: str, *, with_token: bool) -> bytes:
    """Return request line and headers. Only the target's own host gets its headers and its token."""
    headers = {"Host": host, "User-Agent": f"metricat-agent/{__version__}", "Accept": "*/*", "Connection": "close"}
    if with_token:
        headers |= dict(target.headers)
        if target.bearer_token_file:
            headers["Authorization"] = f"Bearer {_token(target.bearer_token_file)}"
    if method in ("POST", "PUT", "PATCH"):
        headers["Content-Length"] = "0"
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8")


def _token(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 -- all other paths are strings
            token = file.read().strip(" \t\r\n")
    except (OSError, UnicodeError) as error:
        raise ProbeError("permission", f"cannot read the token in {path}: {error}") from error
    if not token:
        raise ProbeError("permission", f"{path} is empty; write the token into the file")
    if not token.isprintable():
        raise ProbeError("permission", f"{path} has line breaks or control characters; write only the token")
    return token


def _exchange(target: Target, connection: Connection, head: bytes, method: str, result: Result) -> HTTPResponse:
    began = time.monotonic()
    connection.send(head)
    response = HTTPResponse(cast("socket", connection), method=method)  # it only calls makefile()
    response.begin()
    answered = time.monotonic()
    result.add_phase("processing", answered - began)
    result.status = response.status
    result.http_version = response.version / 10
    result.content_length = -1 if response.length is None else response.length
    body = response.read(_MOST_BYTES)
    result.add_phase("transfer", time.monotonic() - answered)
    if response.length and len(body) < _MOST_BYTES:
        raise ProbeError("protocol", "the connection ended before the end of the body")
    if target.body_pattern is not None:
        result.matched = target.body_pattern.search(body) is not None
    return response
