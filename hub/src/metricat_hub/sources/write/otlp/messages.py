"""Decodes OTLP messages from protobuf and from JSON to the same dictionaries. Pure.

The keys are those of OTLP's JSON format. Only fields that the hub uses are decoded.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from metricat_hub.model.json_text import decode_json
from metricat_hub.sources.write.errors import DecodeError
from metricat_hub.sources.write.protobuf import BYTES, FIXED64, VARINT, double, fields, signed, text, varint

if TYPE_CHECKING:
    from collections.abc import Callable

Message: TypeAlias = dict[str, Any]
_MOST_DEPTH = 20
"""The most levels of nested messages. The value of an attribute may contain further values."""


def _fixed(data: bytes, begin: int, end: int) -> int:
    return int.from_bytes(data[begin:end], "little")


def _signed_fixed(data: bytes, begin: int, end: int) -> int:
    return int.from_bytes(data[begin:end], "little", signed=True)


_SCALARS: dict[str, tuple[int, Callable[[bytes, int, int], Any]]] = {
    "text": (BYTES, text),
    "bytes": (BYTES, lambda data, begin, end: data[begin:end]),
    "double": (FIXED64, lambda data, begin, _: double(data, begin)),
    "fixed64": (FIXED64, _fixed),
    "sfixed64": (FIXED64, _signed_fixed),
    "int64": (VARINT, lambda data, begin, _: signed(data, begin)),
    "uint": (VARINT, lambda data, begin, _: varint(data, begin)[0]),
}
_PACKED = {"fixed64": "Q", "double": "d"}
"""Types of repeated numbers, as format characters of the module `struct`."""
_POINT = {
    2: ("startTimeUnixNano", "fixed64"),
    3: ("timeUnixNano", "fixed64"),
}
_SCHEMA: dict[str, dict[int, tuple[str, str]]] = {
    "Request": {1: ("resourceMetrics", "[]ResourceMetrics")},
    "ResourceMetrics": {1: ("resource", "Resource"), 2: ("scopeMetrics", "[]ScopeMetrics")},
    "Resource": {1: ("attributes", "[]KeyValue")},
    "ScopeMetrics": {2: ("metrics", "[]Metric")},
    "Metric": {
        1: ("name", "text"),
        2: ("description", "text"),
        3: ("unit", "text"),
        5: ("gauge", "Gauge"),
        7: ("sum", "Sum"),
        9: ("histogram", "Histogram"),
        10: ("exponentialHistogram", "ExponentialHistogram"),
        11: ("summary", "Summary"),
    },
    "Gauge": {1: ("dataPoints", "[]Number")},
    "Sum": {1: ("dataPoints", "[]Number"), 2: ("aggregationTemporality", "uint"), 3: ("isMonotonic", "uint")},
    "Histogram": {1: ("dataPoints", "[]HistogramPoint"), 2: ("aggregationTemporality", "uint")},
    "ExponentialHistogram": {1: ("dataPoints", "[]Number")},
    "Summary": {1: ("dataPoints", "[]SummaryPoint")},
    "Number": {
        **_POINT,
        4: ("asDouble", "double"),
        6: ("asInt", "sfixed64"),
        7: ("attributes", "[]KeyValue"),
        8: ("flags", "uint"),
    },
    "HistogramPoint": {
        **_POINT,
        4: ("count", "fixed64"),
        5: ("sum", "double"),
        6: ("bucketCounts", "[]fixed64"),
        7: ("explicitBounds", "[]double"),
        9: ("attributes", "[]KeyValue"),
        10: ("flags", "uint"),
    },
    "SummaryPoint": {
        **_POINT,
        4: ("count", "fixed64"),
        5: ("sum", "double"),
        6: ("quantileValues", "[]Quantile"),
        7: ("attributes", "[]KeyValue"),
        8: ("flags", "uint"),
    },
    "Quantile": {1: ("quantile", "double"), 2: ("value", "double")},
    "KeyValue": {1: ("key", "text"), 2: ("value", "AnyValue")},
    "AnyValue": {
        1: ("stringValue", "text"),
        2: ("boolValue", "uint"),
        3: ("intValue", "int64"),
        4: ("doubleValue", "double"),
        5: ("arrayValue", "Array"),
        6: ("kvlistValue", "KeyValues"),
        7: ("bytesValue", "bytes"),
    },
    "Array": {1: ("values", "[]AnyValue")},
    "KeyValues": {1: ("values", "[]KeyValue")},
}


def from_protobuf(data: bytes) -> Message:
    """Decode an `ExportMetricsServiceRequest` from protobuf; raise `DecodeError` if the bytes are not valid."""
    return _message("Request", data, 0, len(data), 0)


def from_json(data: bytes) -> Message:
    """Decode an `ExportMetricsServiceRequest` from JSON; raise `DecodeError` if the text is not valid."""
    try:
        found = decode_json(data)
    except msgspec.DecodeError as error:
        raise DecodeError(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise DecodeError("the body is not a JSON object; send an ExportMetricsServiceRequest")
    return found


def _message(name: str, data: bytes, begin: int, end: int, depth: int) -> Message:
    if depth > _MOST_DEPTH:
        raise DecodeError(f"messages are nested deeper than {_MOST_DEPTH} levels; send attributes with fewer levels")
    schema = _SCHEMA[name]
    found: Message = {}
    for number, kind, at, stop in fields(data, begin, end):
        if number not in schema:
            continue
        key, type_name = schema[number]
        item = type_name.removeprefix("[]")
        values: list[Any]
        if item in _SCHEMA:
            _expect(kind == BYTES, key)
            values = [_message(item, data, at, stop, depth + 1)]
        elif kind == BYTES and type_name != item:
            _expect((stop - at) % 8 == 0, key)
            values = list(struct.unpack(f"<{(stop - at) // 8}{_PACKED[item]}", data[at:stop]))
        else:
            wire, read = _SCALARS[item]
            _expect(kind == wire, key)
            values = [read(data, at, stop)]
        if type_name == item:
            found[key] = values[0]
        else:
            found.setdefault(key, []).extend(values)
    return found


def _expect(right: bool, key: str) -> None:  # noqa: FBT001 -- the condition is the subject
    if not right:
        raise DecodeError(f"{key} does not have the type that OTLP defines")
