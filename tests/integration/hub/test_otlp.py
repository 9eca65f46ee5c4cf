"""The hub and a real Prometheus receive the same OTLP bodies: the hub has the same series and samples."""

from __future__ import annotations

import gzip
import json
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest

from metricat_hub.api.write import routes
from metricat_hub.sources.write.otlp.messages import _SCHEMA
from metricat_hub.use_cases.write import SampleWriter
from support.hub_server import serving
from support.memory_store import MemoryStore
from support.prometheus_server import prometheus
from support.remote_write import message, varint

if TYPE_CHECKING:
    from pathlib import Path

    from support.prometheus_server import Samples

NOW = int(time.time() * 1000)
CUMULATIVE = 2
CONFIG = "storage: {tsdb: {out_of_order_time_window: 1h}}\n"


def nanos(milliseconds: int) -> str:
    return str(milliseconds * 1_000_000 + 999_999)


def text(value: str) -> dict[str, str]:
    return {"stringValue": value}


def attributes(**values: Any) -> list[dict[str, Any]]:
    return [
        {"key": key.replace("__", "."), "value": value if isinstance(value, dict) else text(value)}
        for key, value in values.items()
    ]


def point(value: float, at: int = NOW, flags: int = 0, **values: Any) -> dict[str, Any]:
    number = {"asInt": str(value)} if isinstance(value, int) else {"asDouble": value}
    return {"timeUnixNano": nanos(at), "attributes": attributes(**values), "flags": flags, **number}


def metric(name: str, kind: str, *points: dict[str, Any], unit: str = "", **content: Any) -> dict[str, Any]:
    if kind in ("sum", "histogram"):
        content = {"aggregationTemporality": CUMULATIVE, **content}
    return {"name": name, "unit": unit, "description": f"{name}.", kind: {"dataPoints": list(points), **content}}


def request(*metrics: dict[str, Any], **values: Any) -> dict[str, Any]:
    resource = {"attributes": attributes(**values)}
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": list(metrics)}]}]}


HISTOGRAM = {
    "timeUnixNano": nanos(NOW),
    "count": "10",
    "sum": 12.5,
    "bucketCounts": ["1", "2", "3", "4"],
    "explicitBounds": [0.005, 1, 1e7],
    "attributes": attributes(route="/a"),
}
SUMMARY = {
    "timeUnixNano": nanos(NOW),
    "count": "3",
    "sum": 4.5,
    "quantileValues": [
        {"quantile": 0.5, "value": 1.5},
        {"quantile": 0.99, "value": 1e300},
        {"quantile": 1, "value": 2},
    ],
}
SERVICE = {"service__name": "shop", "service__namespace": "eu", "service__instance__id": "a-1"}
VALUES: dict[str, Any] = {
    "flag": {"boolValue": True},
    "whole": {"intValue": "-5"},
    "half": {"doubleValue": 0.5},
    "large": {"doubleValue": 1e20},
    "list": {"arrayValue": {"values": [text("a"), {"intValue": "1"}, {"boolValue": False}]}},
    "map": {"kvlistValue": {"values": [{"key": "z", "value": text("y")}, {"key": "b", "value": {"doubleValue": 2.5}}]}},
}
NAMES = [
    "http.server.duration",
    "a__b--c",
    "9lives",
    "\u00fcber.size",
    "disk.bytes",
    "x_total_y",
    "rate_per_second",
    "ns:x",
]
UNITS = [
    *("", "1", "s", "By", "By/s", "{requests}", "{requests}/s", "m/s/h", "%", "Cel", "1/s", "foo/bar"),
    *("_x_/__y", "KiBy/min"),
]
BODIES = {
    "kinds": request(
        metric("gauge", "gauge", point(1.5, a="b"), point(-2, a="c")),
        metric("requests", "sum", point(7), isMonotonic=True, unit="1"),
        metric("queue", "sum", point(7.25), isMonotonic=False, unit="1"),
        metric("latency", "histogram", HISTOGRAM, unit="s"),
        metric("no.sum", "histogram", {key: value for key, value in HISTOGRAM.items() if key != "sum"}),
        metric("no.buckets", "histogram", {"timeUnixNano": nanos(NOW), "count": "4", "sum": 2}),
        metric("gc", "summary", SUMMARY, unit="ms"),
        metric("ratio", "gauge", point(0.5), unit="1"),
        **SERVICE,
        host__name="h1",
        os__type="linux",
    ),
    "names and units": request(
        *(
            metric(name, kind, point(index + 1), unit=unit, **({"isMonotonic": True} if kind == "sum" else {}))
            for index, (name, unit, kind) in enumerate(
                (f"{name}.{kind}{index}", unit, kind)
                for index, unit in enumerate(UNITS)
                for name in NAMES
                for kind in ("gauge", "sum")
            )
        ),
        **SERVICE,
    ),
    "values of attributes": request(metric("m", "gauge", point(1, **VALUES)), **SERVICE, **VALUES),
    "names of attributes": request(
        metric(
            "m",
            "gauge",
            {
                **point(1),
                "attributes": [
                    {"key": key, "value": text(value)}
                    for key, value in {
                        "a.b": "1",
                        "a/b": "2",
                        "9x": "3",
                        "_y": "4",
                        "__z": "5",
                        "\u00fc": "6x",
                        "ok": "7",
                        "job": "mine",
                        "instance": "mine too",
                        "a b  c": "8",
                        "__name__": "other",
                        "empty": "",
                    }.items()
                ],
            },
        ),
        **SERVICE,
    ),
    "without a service": request(metric("m", "gauge", point(1)), host__name="h"),
    "only a name": request(metric("m", "gauge", point(1)), service__name="shop", host__name="h"),
    "only identity": request(metric("m", "gauge", point(1)), **SERVICE),
    "several times": request(
        *(metric("m", "gauge", *(point(number, at=NOW - 60_000 * number) for number in range(10, 0, -1))) for _ in "a"),
        **SERVICE,
        host__name="h",
    ),
    "staleness": request(metric("m", "gauge", point(5.0, at=NOW - 1000), point(1.0, flags=1)), **SERVICE),
}


def encoded(name: str, given: dict[str, Any]) -> bytes:
    """Return a message as protobuf, written from OTLP's field numbers."""
    parts = []
    for number, (key, type_name) in _SCHEMA[name].items():
        if key not in given:
            continue
        item = type_name.removeprefix("[]")
        values = given[key] if type_name != item else [given[key]]
        if item in _SCHEMA:
            parts += [message(number, encoded(item, value)) for value in values]
        elif type_name != item:
            code = {"fixed64": "<Q", "double": "<d"}[item]
            convert = int if item == "fixed64" else float
            parts.append(message(number, b"".join(struct.pack(code, convert(value)) for value in values)))
        elif item in ("text", "bytes"):
            parts.append(message(number, values[0].encode()))
        elif item in ("int64", "uint"):
            parts.append(varint(number << 3) + varint(int(values[0])))
        else:
            code = {"fixed64": "<Q", "sfixed64": "<q", "double": "<d"}[item]
            value = float(values[0]) if item == "double" else int(values[0])
            parts.append(varint(number << 3 | 1) + struct.pack(code, value))
    return b"".join(parts)


def texts(samples: Samples) -> dict[str, dict[int, str]]:
    return {str(labels): {at: repr(value) for at, value in values.items()} for labels, values in samples.items()}


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_hub_stores_what_prometheus_stores(tmp_path: Path, encoding: str) -> None:
    media = "application/json" if encoding == "json" else "application/x-protobuf"
    for name, body in BODIES.items():
        data = json.dumps(body).encode() if encoding == "json" else encoded("Request", body)
        store = MemoryStore(NOW)
        folder = tmp_path / name
        folder.mkdir()
        with (
            serving(routes(SampleWriter(store)), folder) as hub,
            prometheus(folder, CONFIG, "--web.enable-otlp-receiver") as server,
        ):
            status, said = server.request("POST", "/api/v1/otlp/v1/metrics", data, Content_Type=media)
            assert status == 200, (name, said)
            answer = hub.post("/v1/metrics", gzip.compress(data), {"Content-Type": media, "Content-Encoding": "gzip"})
            assert (answer.status, answer.body) == (200, b"{}" if encoding == "json" else b""), name
            theirs = server.samples('{__name__=~".+"}[1h]')
        ours = {
            labels: kept
            for labels, values in store.samples.items()
            if (kept := {at: value for at, value in values.items() if value == value})  # noqa: PLR0124 -- NaN
        }
        assert texts(ours) == texts(theirs), name
