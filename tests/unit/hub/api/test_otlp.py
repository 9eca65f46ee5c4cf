"""The endpoint of OTLP metrics: what is rejected, errors in the encoding of the request, hostile bodies."""

from __future__ import annotations

import gzip
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_hub.api.receiver import WriteLimits
from metricat_hub.api.write import routes
from metricat_hub.sources.write.errors import DecodeError
from metricat_hub.sources.write.otlp.decoder import decode
from metricat_hub.sources.write.otlp.messages import from_json, from_protobuf
from metricat_hub.use_cases.write import TOO_NEW, SampleWriter
from support.hub_server import serving
from support.memory_store import MemoryStore
from support.remote_write import message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.hub_server import Answer, Hub

NOW = int(time.time() * 1000)
POINT = {"timeUnixNano": str(NOW * 1_000_000), "asDouble": 1.5}
GAUGE = {"name": "good", "gauge": {"dataPoints": [POINT]}}


def request(*metrics: dict[str, Any]) -> dict[str, Any]:
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": list(metrics)}]}]}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(NOW)


@pytest.fixture
def hub(store: MemoryStore, tmp_path: Path) -> Iterator[Hub]:
    with serving(routes(SampleWriter(store), WriteLimits(decompressed=50_000)), tmp_path) as running:
        yield running


def send(hub: Hub, body: object) -> Answer:
    return hub.post("/v1/metrics", json.dumps(body).encode(), {"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("metric", "points", "said"),
    [
        (
            {"name": "m", "sum": {"dataPoints": [POINT, POINT], "aggregationTemporality": 1, "isMonotonic": True}},
            2,
            "m: delta temporality is not supported; set the temporality preference of the exporter to cumulative",
        ),
        ({"name": "m", "histogram": {"dataPoints": [{}], "aggregationTemporality": 1}}, 1, "m: delta temporality"),
        ({"name": "m", "sum": {"dataPoints": [POINT]}}, 1, "m: the aggregation temporality is not supported"),
        ({"name": "m", "exponentialHistogram": {"dataPoints": [{}]}}, 1, "m: exponential histograms are not supported"),
        ({"name": "m"}, 1, "m: the metric has no data, or an unknown type; send a gauge"),
        ({"name": "--", "gauge": {"dataPoints": [POINT]}}, 1, "'--' has no character that a metric name may have"),
        (
            {"name": "m", "gauge": {"dataPoints": [{**POINT, "timeUnixNano": str((NOW + 10**7) * 1_000_000)}]}},
            1,
            TOO_NEW,
        ),
    ],
)
def test_points_that_are_rejected_are_named_and_the_others_stored(
    hub: Hub, store: MemoryStore, metric: dict[str, Any], points: int, said: str
) -> None:
    answer = send(hub, request(metric, GAUGE))
    assert answer.status == 200
    assert answer.json["partialSuccess"]["rejectedDataPoints"] == str(points)
    assert said in answer.json["partialSuccess"]["errorMessage"]
    assert store.samples == {(("__name__", "good"),): {NOW: 1.5}}


def test_answer_has_the_encoding_of_the_request(hub: Hub, store: MemoryStore) -> None:
    exponential = message(2, message(1, b"m") + message(10, message(1, b"")))
    body = message(1, message(2, exponential))
    headers = {"Content-Type": "application/x-protobuf"}
    answer = hub.post("/v1/metrics", body, headers)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-protobuf")
    assert b"\x08\x01\x12" in answer.body
    assert b"m: exponential histograms are not supported" in answer.body
    store.is_full = True
    answer = send(hub, request(GAUGE))
    assert (answer.status, answer.headers["retry-after"], answer.json["code"]) == (503, "5", 14)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"[]", {"Content-Type": "application/json"}, 400),
        (b'{"resourceMetrics": 1}', {"Content-Type": "application/json"}, 400),
        (b"\x0a\x7f", {"Content-Type": "application/x-protobuf"}, 400),
        (b"\x08\x01", {"Content-Type": "application/x-protobuf"}, 400),
        (b"x", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 400),
        (gzip.compress(bytes(50_001), mtime=0), {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 413),
        (b"", {"Content-Type": "text/plain"}, 415),
        (b"", {"Content-Type": "application/json", "Content-Encoding": "br"}, 415),
    ],
)
def test_invalid_request_returns_its_error_status(hub: Hub, body: bytes, headers: dict[str, str], status: int) -> None:
    answer = hub.post("/v1/metrics", body, headers)
    assert answer.status == status
    if headers["Content-Type"] == "application/json":
        assert answer.json["message"]


def nested(depth: int) -> bytes:
    value = message(1, b"x")
    for _ in range(depth):
        value = message(5, message(1, value))
    attribute = message(1, b"a") + message(2, value)
    return message(1, message(1, message(1, attribute)))


def test_deeply_nested_values_are_rejected() -> None:
    decode(from_protobuf(nested(5)))
    with pytest.raises(DecodeError, match="deeper than 20"):
        from_protobuf(nested(5000))


def test_deeply_nested_json_and_extreme_times_are_rejected() -> None:
    metric = {"name": "m", "gauge": {"dataPoints": [{**POINT, "attributes": [{"key": "a", "value": "DEEP"}]}]}}
    shallow = json.dumps(request(metric))
    for depth in (50, 400, 100_000):
        deep = '{"arrayValue":{"values":[' * depth + "{}" + "]}}" * depth
        body = shallow.replace('"DEEP"', deep).encode()
        if depth == 50:
            decode(from_json(body))
            continue
        with pytest.raises(DecodeError, match=r"JSON|OTLP"):
            decode(from_json(body))
    with pytest.raises(DecodeError, match="OTLP"):
        decode(request({"name": "m", "gauge": {"dataPoints": [{"timeUnixNano": "1" * 40}]}}))


def test_target_info_of_a_long_time_is_bounded() -> None:
    body = request({"name": "m", "gauge": {"dataPoints": [{"timeUnixNano": "0"}, POINT]}})
    attributes = [{"key": name, "value": {"stringValue": "x"}} for name in ("service.name", "host.name")]
    body["resourceMetrics"][0]["resource"] = {"attributes": attributes}
    columns, _ = decode(body)
    assert len(columns.keys) == 2 + 1001


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["dataPoints", "attributes", "key", "value", "sum", "count", "asInt", "flags"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)
METRICS = st.dictionaries(st.sampled_from(["name", "unit", "gauge", "sum", "histogram", "summary"]), JSON, max_size=4)


@given(metric=METRICS, body=st.binary(max_size=60))
def test_any_body_is_decoded_or_raises_a_decode_error(metric: dict[str, Any], body: bytes) -> None:
    for read, data in ((from_json, json.dumps(request(metric)).encode()), (from_protobuf, body)):
        try:
            columns, _ = decode(read(data))
        except DecodeError:
            continue
        assert len(columns.keys) == len(columns.times) == len(columns.values)
