"""The declarations of the endpoints that receive pushed samples, for the OpenAPI document. See also `api.write`."""

from __future__ import annotations

from typing import Any, Final

from metricat_hub.api.operations import TEXT, Operation, Schema
from metricat_hub.use_cases.collect import Collected

_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_BINARY: Schema = {"type": "string", "format": "binary"}
_LABELS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_TIMESTAMP: Schema = {
    "description": "Time of the sample: ISO 8601 with Z or an offset, or seconds or milliseconds since 1970. Default: "
    "the batch's.",
    "type": ["string", "number"],
    "examples": ["2026-01-31T12:00:00Z"],
}
_METRIC: Schema = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-zA-Z_:][a-zA-Z0-9_:]*$"},
        "value": {"anyOf": [{"type": "number"}, {"enum": ["NaN", "+Inf", "-Inf"]}]},
        "labels": _LABELS,
        "timestamp": _TIMESTAMP,
    },
    "required": ["name", "value"],
}
BATCH: Final[Schema] = {
    "type": "object",
    "properties": {
        "collector_id": {"type": "string", "minLength": 1, "maxLength": 200},
        "hostname": {"type": "string", "minLength": 1, "maxLength": 200},
        "sequence": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
        "timestamp": {
            **_TIMESTAMP,
            "description": "Default time of the samples, in the same format as in `metrics`. Default: now.",
        },
        "metrics": {"type": "array", "maxItems": 10_000, "items": _METRIC},
    },
    "required": ["collector_id", "hostname", "metrics"],
}
_STATUS: Schema = {
    "type": "object",
    "description": "A `google.rpc.Status`.",
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
    "required": ["code", "message"],
}


def _operation(path: str, identifier: str, summary: str, description: str, **others: Any) -> Operation:
    return Operation(
        path,
        None,
        summary,
        "Push",
        scope="write",
        methods=("POST",),
        group="writes",
        description=description,
        identifier=identifier,
        **others,
    )


OPERATIONS = (
    _operation(
        "/api/v1/write",
        "remote_write",
        "Receive Prometheus remote write",
        "The parameter `proto` of Content-Type selects version 1.0 (`prometheus.WriteRequest`, the default) or 2.0 "
        "(`io.prometheus.write.v2.Request`).",
        bodies={_PROTOBUF: _BINARY},
        success=204,
        errors=(400, 413, 415, 503),
        error_bodies={"text/plain": TEXT},
    ),
    _operation(
        "/api/v1/metrics/collect",
        "collect_metrics",
        "Receive a JSON batch of a collector",
        "The hub stores a batch with a sequence number only once. The response lists the rejected samples; the hub "
        "stores the others.",
        bodies={_JSON: BATCH},
        result=Collected,
        errors=(400, 409, 413, 503),
    ),
    _operation(
        "/v1/metrics",
        "otlp_metrics",
        "Receive OTLP metrics",
        "The body is an ExportMetricsServiceRequest. The hub translates names and labels as Prometheus' OTLP receiver "
        "does.",
        bodies={_PROTOBUF: _BINARY, _JSON: {"type": "object"}},
        result_bodies={_PROTOBUF: _BINARY, _JSON: {"type": "object"}},
        errors=(400, 413, 415, 503),
        error_bodies={_PROTOBUF: _BINARY, _JSON: _STATUS},
    ),
)
