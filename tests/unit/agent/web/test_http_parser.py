"""Requests in, answers out, without a socket."""

from __future__ import annotations

import importlib
import sys
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_agent.exposition import compression
from metricat_agent.web.http_parser import METHODS, Answer, BadRequestError, Request, encode, parse_head

LONG = Answer(200, b"node_load1 0.5\n" * 100)


def request(method: str = "GET", **headers: str) -> Request:
    return Request(method, "/metrics", {name.replace("_", "-"): value for name, value in headers.items()})


def test_a_request() -> None:
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
def test_what_proxies_ask_for(target: bytes, path: str, query: str) -> None:
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
def test_what_is_no_request(head: bytes, status: int) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_head(head)
    assert caught.value.status == status


@pytest.mark.parametrize("line", [b"OPTIONS * HTTP/1.1", b"CONNECT node-7:443 HTTP/1.1", b"get metrics HTTP/1.0"])
def test_other_methods_may_ask_for_what_is_no_path(line: bytes) -> None:
    assert parse_head(line).method not in METHODS


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_bad_one(head: bytes) -> None:
    with suppress(BadRequestError):
        found = parse_head(head)
        assert found.path.startswith("/") or found.method not in METHODS


@pytest.mark.parametrize(
    ("accepted", "taken"),
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
def test_gzip_if_asked(accepted: str, taken: bool) -> None:  # noqa: FBT001 -- a column of the table
    head, _, body = encode(LONG, request(accept_encoding=accepted), close=False).partition(b"\r\n\r\n")
    assert (b"Content-Encoding: gzip" in head) == taken
    assert b"Vary: Accept-Encoding" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert (zlib.decompress(body, 31) if taken else body) == LONG.body


@pytest.mark.parametrize("fast", [True, False])
def test_either_library_gives_gzip(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 -- as above
    if not fast:
        monkeypatch.setitem(sys.modules, "isal", None)
    importlib.reload(compression)
    assert (compression.LIBRARY == "zlib") is not fast
    assert zlib.decompress(compression.gzipped(LONG.body), 31) == LONG.body
    monkeypatch.undo()
    importlib.reload(compression)


def test_short_answers_are_not_compressed() -> None:
    assert encode(Answer(200, b"ok"), request(accept_encoding="gzip"), close=True).endswith(b"\r\n\r\nok")


def test_head_has_no_body_but_its_length() -> None:
    answer = encode(LONG, request("HEAD"), close=False)
    assert answer.endswith(b"\r\n\r\n")
    assert b"Content-Length: 1500\r\n" in answer


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (request(), True),
        (request(connection="Close"), False),
        (request(content_length="3"), False),
        (request(content_length="0"), True),
        (request(transfer_encoding="chunked"), False),
        (Request("GET", "/", {}, "HTTP/1.0"), False),
    ],
)
def test_connections_are_kept(asked: Request, kept: bool) -> None:  # noqa: FBT001 -- a column of the table
    assert asked.keeps_alive == kept
