"""Nothing but the API server's own answers passes the validation."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_operator.cluster.kinds import NODE, TOKEN_REVIEW
from metricat_operator.cluster.responses import (
    InvalidResponseError,
    parse_deletion,
    parse_event,
    parse_object,
    parse_page,
)

OBJECT = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "a", "resourceVersion": "7"}}
PAGE = {
    "kind": "NodeList",
    "metadata": {"resourceVersion": "9", "continue": "next"},
    "items": [{"metadata": {"name": "a"}}],
}
BOOKMARK = {"type": "BOOKMARK", "object": {"kind": "Node", "metadata": {"resourceVersion": "9"}}}
PARSERS: tuple[Callable[[bytes], object], ...] = (
    lambda data: parse_object(data, NODE),
    lambda data: parse_page(data, NODE),
    lambda data: parse_event(data, NODE),
    parse_deletion,
)


def encoded(content: Any) -> bytes:
    return json.dumps(content).encode()


def test_valid_responses_are_parsed() -> None:
    assert parse_object(encoded(OBJECT), NODE) == OBJECT
    assert parse_page(encoded(PAGE), NODE) == ([{"metadata": {"name": "a"}}], "9", "next")
    assert parse_page(encoded({**PAGE, "items": None, "metadata": {"resourceVersion": "9"}}), NODE) == ([], "9", "")
    assert parse_event(encoded({"type": "ADDED", "object": OBJECT}), NODE) == ("ADDED", OBJECT)
    assert parse_event(encoded(BOOKMARK), NODE) == ("BOOKMARK", BOOKMARK["object"])
    assert parse_event(b'{"type":"ERROR","object":{"code":410}}', NODE) == ("ERROR", {"code": 410})
    assert parse_deletion(b'{"kind":"Status","status":"Success"}')["status"] == "Success"
    review = {"kind": "TokenReview", "status": {"authenticated": True}}
    assert parse_object(encoded(review), TOKEN_REVIEW) == review


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"7",
        b'"text"',
        b'{"kind":"No',
        b"<html></html>",
        b'{"kind":"\xff"}',
        b"[" * 100_000,
        b'{"kind":"Pod","metadata":{"name":"a","resourceVersion":"7"}}',
        b'{"kind":"Node","metadata":[]}',
        b'{"kind":"NodeList","items":[]}',
        b'{"kind":"NodeList","metadata":{},"items":[]}',
        b'{"kind":"NodeList","metadata":{"resourceVersion":"1"},"items":{"a":1}}',
        b'{"kind":"NodeList","metadata":{"resourceVersion":"1"},"items":[null]}',
        b'{"kind":"NodeList","metadata":{"resourceVersion":"1"},"items":[{"metadata":{}}]}',
        b'{"type":"BOOKMARK","object":{"kind":"Node"}}',
        b'{"type":"ADDED","object":{"kind":"Node","metadata":{"name":"a"}}}',
        b'{"type":"ADDED","object":null}',
        b'{"type":"RENAMED","object":{"kind":"Node","metadata":{"name":"a","resourceVersion":"7"}}}',
    ],
)
def test_responses_of_others_are_invalid(data: bytes) -> None:
    rejected = 0
    for parse in PARSERS:
        try:
            parse(data)
        except InvalidResponseError:
            rejected += 1
    assert rejected >= (3 if b'"kind"' in data[:8] else 4)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["kind", "metadata", "items", "type", "object", "name"]), inner)
    ),
)


@given(st.binary() | JSON.map(encoded))
def test_parsers_raise_no_other_error(data: bytes) -> None:
    for parse in PARSERS:
        with contextlib.suppress(InvalidResponseError):
            parse(data)
