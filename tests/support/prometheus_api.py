"""A client of Prometheus' HTTP API, for tests that compare the answers of two programs."""

from __future__ import annotations

import json
import struct
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cramjam
import numpy as np

from metricat_hub.model.labels import from_mapping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.model.labels import Labels

_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """The answer of Prometheus: times and values of each series, or the error."""

    series: Mapping[Labels, tuple[Sequence[float], Sequence[float]]]
    order: Sequence[Labels] = ()
    warnings: Sequence[str] = ()
    infos: Sequence[str] = ()
    error: str = ""


@dataclass(frozen=True)
class PrometheusApi:
    """The HTTP API of a running Prometheus, or of a program that has the same API."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def write(self, series: Mapping[Labels, Sequence[tuple[int, float]]]) -> None:
        """Send the samples (milliseconds, value) of series in one request of remote write 1.0."""
        body = b"".join(_field(1, _time_series(labels, samples)) for labels, samples in series.items())
        request = urllib.request.Request(
            f"{self.url}/api/v1/write",
            data=bytes(cramjam.snappy.compress_raw(body)),
            headers={**self.headers, "Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"},
        )
        try:
            urllib.request.urlopen(request, timeout=_SECONDS).close()
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def instant(self, query: str, time_ms: int) -> Answer:
        """Evaluate a query at one time."""
        return self._query("query", query=query, time=f"{time_ms / 1000:.3f}")

    def range(self, query: str, start: int, end: int, step: int) -> Answer:
        """Evaluate a query over a time range."""
        bounds = {"start": f"{start / 1000:.3f}", "end": f"{end / 1000:.3f}", "step": f"{step / 1000:.3f}"}
        return self._query("query_range", query=query, **bounds)

    def _query(self, path: str, **parameters: str) -> Answer:
        request = urllib.request.Request(
            f"{self.url}/api/v1/{path}", urllib.parse.urlencode(parameters).encode(), dict(self.headers)
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as response:
                return _answer(json.load(response))
        except urllib.error.HTTPError as error:
            return Answer({}, error=json.load(error)["error"])


def _answer(data: Any) -> Answer:
    result, kind = data["data"]["result"], data["data"]["resultType"]
    series: dict[Labels, tuple[list[float], list[float]]]
    if kind == "scalar":
        series = {(): ([float(result[0])], [float(result[1])])}
    elif kind == "vector":
        series = {from_mapping(one["metric"]): ([one["value"][0]], [float(one["value"][1])]) for one in result}
    else:
        series = {
            from_mapping(one["metric"]): ([p[0] for p in one["values"]], [float(p[1]) for p in one["values"]])
            for one in result
        }
    return Answer(series, list(series), sorted(data.get("warnings", [])), sorted(data.get("infos", [])))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _time_series(labels: Labels, samples: Sequence[tuple[int, float]]) -> bytes:
    pairs = b"".join(_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels))
    points = b"".join(
        _field(2, b"\x09" + struct.pack("<Q", int(np.float64(value).view(np.uint64))) + b"\x10" + _varint(at))
        for at, value in samples
    )
    return pairs + points
