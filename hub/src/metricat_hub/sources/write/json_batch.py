"""Decoder of JSON batches of metrics. Pure.

An invalid sample is reported with its position, name and reason. The valid samples are decoded.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np

from metricat_hub.model.json_text import decode_json
from metricat_hub.sources.write.columns import Columns, checked
from metricat_hub.sources.write.errors import DecodeError, InvalidSeriesError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_hub.model.labels import Labels

MOST_METRICS = 10_000
"""The most samples in a batch."""
_MOST_TEXT = 200
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_SPECIAL = {"NaN": math.nan, "+Inf": math.inf, "Inf": math.inf, "-Inf": -math.inf}
_MILLISECONDS_FROM = 100_000_000_000
"""Timestamps from this number are milliseconds. As seconds, they would be after the year 5138."""


@dataclass(frozen=True, slots=True)
class JsonBatch:
    """A decoded batch of metrics."""

    collector: str
    """The name of the program that sent the batch (`collector_id`)."""
    sequence: int | None
    names: list[str]
    """The name of each metric of the batch; empty: without a name."""
    columns: Columns
    positions: list[int]
    """The position in the batch of each sample in `columns`."""
    invalid: dict[int, str]
    """The errors of invalid samples, by position."""


def decode(body: bytes, now: int) -> JsonBatch:
    """Decode a batch; raise `DecodeError` if it is not valid. `now` is the default timestamp in milliseconds."""
    try:
        found = decode_json(body)
    except msgspec.DecodeError as error:
        raise DecodeError(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise DecodeError("the body is not a JSON object; send an object with collector_id, hostname and metrics")
    return from_mapping(found, now)


def from_mapping(found: Mapping[str, Any], now: int) -> JsonBatch:
    """Convert a decoded JSON object to a batch; raise `DecodeError` if it is not valid."""
    collector, host = _text(found, "collector_id"), _text(found, "hostname")
    sequence = found.get("sequence")
    if sequence is not None and (type(sequence) is not int or not 0 <= sequence < 1 << 63):
        raise DecodeError("sequence: not a whole number; use 0 or above")
    metrics = found.get("metrics")
    if not isinstance(metrics, list) or len(metrics) > MOST_METRICS:
        raise DecodeError(f"metrics: not a list of at most {MOST_METRICS} objects")
    try:
        default = _time(found["timestamp"]) if "timestamp" in found else now
    except ValueError as error:
        raise DecodeError(str(error)) from None
    common = {"collector": collector, "instance": host, "job": "collect", "node": host}
    samples: list[tuple[Labels, int, float]] = []
    positions: list[int] = []
    invalid: dict[int, str] = {}
    for index, metric in enumerate(metrics):
        try:
            samples.append(_sample(metric, common, default))
            positions.append(index)
        except (ValueError, InvalidSeriesError) as error:
            invalid[index] = str(error)
    names = [metric.get("name", "") if isinstance(metric, dict) else "" for metric in metrics]
    columns = Columns(
        [labels for labels, _, _ in samples],
        np.array([time for _, time, _ in samples], dtype=np.int64),
        np.array([value for _, _, value in samples], dtype=np.float64),
        lambda key: cast("Labels", key),
    )
    shown = [name[:_MOST_TEXT] if isinstance(name, str) else "" for name in names]
    return JsonBatch(collector, sequence, shown, columns, positions, invalid)


def _text(found: Mapping[str, Any], name: str) -> str:
    """Return a required text of the batch."""
    text = found.get(name)
    if not isinstance(text, str) or not text or len(text) > _MOST_TEXT:
        raise DecodeError(f"{name}: not a string of 1 to {_MOST_TEXT} characters")
    return text


def _sample(metric: object, common: Mapping[str, str], default: int) -> tuple[Labels, int, float]:
    """Return labels, time and value of a metric; raise ValueError or `InvalidSeriesError`."""
    if not isinstance(metric, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 -- handled like other wrong values
    name = metric.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("name: not a metric name; use letters, digits, _ and :, without a digit first")
    labels = metric.get("labels", {})
    if not isinstance(labels, dict):
        raise ValueError("labels: not a JSON object")  # noqa: TRY004 -- as above
    for label, text in labels.items():
        if not _LABEL.fullmatch(label) or not isinstance(text, str):
            raise ValueError(f"labels: {label[:_MOST_TEXT]!r} is not a label name, or its value is not a string")
    time = _time(metric["timestamp"]) if "timestamp" in metric else default
    return checked({**common, **labels, "__name__": name}.items()), time, _value(metric.get("value"))


def _value(value: object) -> float:
    if isinstance(value, str) and value in _SPECIAL:
        return _SPECIAL[value]
    if type(value) is int or type(value) is float:
        try:
            return float(cast("float", value))
        except OverflowError:
            pass
    raise ValueError('value: not a number; write NaN and infinities as the strings "NaN", "+Inf" and "-Inf"')


def _time(given: object) -> int:
    """Return a time in milliseconds; raise ValueError for another form."""
    if type(given) is int or type(given) is float:
        number = cast("float", given)
        scaled = number if number >= _MILLISECONDS_FROM else number * 1000
        if 0 <= scaled < 1 << 52:
            return round(scaled)
    elif isinstance(given, str):
        try:
            time = dt.datetime.fromisoformat(given)
        except ValueError:
            time = dt.datetime.min  # noqa: DTZ901 -- compared only by its lack of an offset
        if time.tzinfo is not None:
            return (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
    raise ValueError("timestamp: not a time; use for example 2026-11-27T16:00:00Z, or seconds since 1970")
