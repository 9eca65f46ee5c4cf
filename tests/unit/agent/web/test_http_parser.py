"""Requests are parsed and responses encoded, without a socket."""

from __future__ import annotations

import importlib
import sys
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_agent.exposition import compression
from metricat_agent.web.http_parser import METHODS, BadRequestError, Request, Response, encode_response, parse_head

LONG = Response(200, b"node_load1 0.5\n" * 100)


def request(method: str = "GET", **headers: str) -> Request:
    return Request(method, "/metrics", {name.replace("_", "-"): value for name, value in headers.items()})


def test_request_head_is_parsed() -> None:
    head = b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\nX-Twice: 1\r\nx-twice:2 "
    assert parse_head(head) == Request("GET", "/metrics", {"host": "a", "x-twice": "1, 2"}, query="x=1")


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"http://node-7:9100/metrics?x=1", "/metrics", "x=1"),
        (b"HTTPS://node-7", "/", ""),
        (b"http://node-7?x=1", "/", "x=1"),
        (b"/http://node-7", "/http://node-7", ""),
    ],
)
def test_absolute_targets_of_proxies_are_parsed(target: bytes, path: str, query: str) -> None:
    found = parse_head(b"GET " + target + b" HTTP/1.1")
    assert (found.path, found.query) == (path, query)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", 400),
        (b"GET /", 400),
        (b"GET metrics HTTP/1.1", 400),
        (b"GET / HTTP/1.1\r\nno colon", 400),
        (b"GET / HTTP/1.1\r\nHost : a", 400),
        (b"GET / HTTP/2.0", 505),
        (b"GET http:/metrics HTTP/1.1", 400),
        (b"GET /a\x1b[31m HTTP/1.1", 400),
        (b"GET /a\rb HTTP/1.1", 400),
        (b"GET /a\x9b31m HTTP/1.1", 400),
        (b"\x16\x03\x01\x02", 400),
    ],
)
def test_invalid_head_is_rejected(head: bytes, status: int) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_head(head)
    assert caught.value.status == status


@pytest.mark.parametrize("line", [b"OPTIONS * HTTP/1.1", b"CONNECT node-7:443 HTTP/1.1", b"get metrics HTTP/1.0"])
def test_other_methods_may_have_a_target_without_a_path(line: bytes) -> None:
    assert parse_head(line).method not in METHODS


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_rejected(head: bytes) -> None:
    with suppress(BadRequestError):
        found = parse_head(head)
        assert found.path.startswith("/") or found.method not in METHODS


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0, gzip", True),
        ("gzip;q=nonsense", False),
        ("identity", False),
        ("", False),
    ],
)
def test_response_is_compressed_if_the_request_accepts_gzip(accepted: str, is_compressed: bool) -> None:  # noqa: FBT001 -- a column of the table
    head, _, body = encode_response(LONG, request(accept_encoding=accepted), close=False).partition(b"\r\n\r\n")
    assert (b"Content-Encoding: gzip" in head) == is_compressed
    assert b"Vary: Accept-Encoding" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert (zlib.decompress(body, 31) if is_compressed else body) == LONG.body


@pytest.mark.parametrize("fast", [True, False])
def test_either_library_compresses(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 -- as above
    if not fast:
        monkeypatch.setitem(sys.modules, "isal", None)
    importlib.reload(compression)
    assert (compression.LIBRARY == "zlib") is not fast
    assert zlib.decompress(compression.gzipped(LONG.body), 31) == LONG.body
    monkeypatch.undo()
    importlib.reload(compression)


def test_short_responses_are_not_compressed() -> None:
    assert encode_response(Response(200, b"ok"), request(accept_encoding="gzip"), close=True).endswith(b"\r\n\r\nok")


def test_head_response_has_the_length_but_no_body() -> None:
    response = encode_response(LONG, request("HEAD"), close=False)
    assert response.endswith(b"\r\n\r\n")
    assert b"Content-Length: 1500\r\n" in response


@pytest.mark.parametrize(
    ("parsed", "kept"),
    [
        (request(), True),
        (request(connection="Close"), False),
        (request(content_length="3"), False),
        (request(content_length="0"), True),
        (request(transfer_encoding="chunked"), False),
        (Request("GET", "/", {}, "HTTP/1.0"), False),
    ],
)
def test_connection_is_kept_where_the_request_allows_it(parsed: Request, kept: bool) -> None:  # noqa: FBT001 -- a column of the table
    assert parsed.keeps_alive == kept
