"""The endpoint of remote write: negotiation, statuses and headers, limits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from metricat_hub.api.receiver import WriteLimits
from metricat_hub.api.write import routes
from metricat_hub.use_cases.write import SampleWriter
from support.hub_server import serving
from support.memory_store import MemoryStore
from support.remote_write import Sent, request_1, request_2, snappy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.hub_server import Answer, Hub

NOW = int(time.time() * 1000)
UP = (("__name__", "up"),)
VERSION_2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
WRITTEN = "x-prometheus-remote-write-{}-written"
PATH = "/api/v1/write"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(NOW)


@pytest.fixture
def hub(store: MemoryStore, tmp_path: Path) -> Iterator[Hub]:
    with serving(routes(SampleWriter(store), WriteLimits(body=10_000, decompressed=50_000)), tmp_path) as running:
        yield running


def send(hub: Hub, body: bytes, content_type: str = "application/x-protobuf", **headers: str) -> Answer:
    return hub.post(PATH, snappy(body), {"Content-Type": content_type, "Content-Encoding": "snappy", **headers})


@pytest.mark.parametrize(
    "content_type", ["application/x-protobuf", "application/x-protobuf;proto=prometheus.WriteRequest", ""]
)
def test_version_1_is_stored(hub: Hub, store: MemoryStore, content_type: str) -> None:
    answer = send(hub, request_1([Sent(UP, [(NOW, 1.0)])]), content_type)
    assert (answer.status, answer.body) == (204, b"")
    assert store.samples == {UP: {NOW: 1.0}}


def test_version_2_is_stored_and_counted(hub: Hub, store: MemoryStore) -> None:
    answer = send(hub, request_2([Sent(UP, [(NOW, 1.0), (NOW + 1, 2.0)], exemplars=1)]), VERSION_2)
    assert answer.status == 204
    assert [answer.headers[WRITTEN.format(kind)] for kind in ("samples", "histograms", "exemplars")] == ["2", "0", "0"]
    assert store.samples == {UP: {NOW: 1.0, NOW + 1: 2.0}}


def test_retry_of_a_stored_request_succeeds(hub: Hub) -> None:
    body = request_2([Sent(UP, [(NOW, 1.0)])])
    for _ in range(2):
        answer = send(hub, body, VERSION_2)
        assert (answer.status, answer.headers[WRITTEN.format("samples")]) == (204, "1")


@pytest.mark.parametrize(("encode", "content_type"), [(request_1, "application/x-protobuf"), (request_2, VERSION_2)])
def test_partial_write_stores_the_valid_samples_and_returns_400_with_reasons(
    hub: Hub, store: MemoryStore, encode: type, content_type: str
) -> None:
    sent = [Sent([("job", "a")], [(NOW, 1.0)]), Sent(UP, [(NOW, 1.0)], histograms=1)]
    answer = send(hub, encode(sent), content_type)
    assert answer.status == 400
    assert b'missing metric name (label __name__): {job="a"}' in answer.body
    assert b"1 native histograms were rejected" in answer.body
    assert store.samples == {UP: {NOW: 1.0}}
    assert answer.headers[WRITTEN.format("samples")] == "1"


@pytest.mark.parametrize(
    ("content_type", "encoding", "said"),
    [
        ("application/json", "snappy", b"application/x-protobuf"),
        ("application/x-protobuf;proto=unknown.Request", "snappy", b"prometheus.WriteRequest"),
        ("application/x-protobuf", "deflate", b"send snappy or gzip"),
    ],
)
def test_unsupported_content_is_rejected_with_what_to_send(
    hub: Hub, content_type: str, encoding: str, said: bytes
) -> None:
    answer = hub.post(PATH, b"", {"Content-Type": content_type, "Content-Encoding": encoding})
    assert answer.status == 415
    assert said in answer.body


def test_bodies_above_the_limits_are_rejected(hub: Hub) -> None:
    assert hub.post(PATH, bytes(10_001)).status == 413
    answer = send(hub, bytes(50_001))
    assert answer.status == 413
    assert b"50001 bytes after decompression, but the limit is 50000" in answer.body


@pytest.mark.parametrize("body", [b"", b"abc", snappy(b"\x0a\x05ab")])
def test_broken_bodies_are_rejected(hub: Hub, body: bytes) -> None:
    assert hub.post(PATH, body, {"Content-Type": "application/x-protobuf"}).status == 400


def test_unavailable_store_returns_503_with_retry_after(hub: Hub, store: MemoryStore) -> None:
    store.is_full = True
    answer = send(hub, request_2([Sent(UP, [(NOW, 1.0)])]), VERSION_2)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.headers[WRITTEN.format("samples")] == "0"
    store.is_full = False
    assert send(hub, request_2([Sent(UP, [(NOW, 1.0)])]), VERSION_2).status == 204


def test_request_above_the_limit_of_waiting_requests_returns_503(store: MemoryStore, tmp_path: Path) -> None:
    with serving(routes(SampleWriter(store), WriteLimits(waiting=0)), tmp_path) as hub:
        answer = send(hub, b"")
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")


def test_request_without_a_key_is_rejected(hub: Hub) -> None:
    assert send(hub, b"", Authorization="").status == 401
