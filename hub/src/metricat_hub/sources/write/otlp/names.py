"""Translates names of metrics and labels, and formats values, as Prometheus' OTLP receiver does by default. Pure.

https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/. The strategy is
`UnderscoreEscapingWithSuffixes`, Prometheus' default.
"""

from __future__ import annotations

import base64
import json
import re
from decimal import Decimal
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_hub.sources.write.otlp.messages import Message

_OTHER = re.compile(r"[^a-zA-Z0-9:]+")
_OTHER_IN_LABEL = re.compile(r"[^a-zA-Z0-9_]")
_UNITS = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "1": "",
    "%": "percent",
}
"""Words for units of UCUM."""
_PER = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}


def metric_name(name: str, unit: str, *, is_counter: bool, is_gauge: bool) -> str:
    """Return the Prometheus name of a metric: only valid characters, with suffixes for unit and type.

    Raises:
        ValueError: the name has no valid character.
    """
    tokens = [token for token in _OTHER.split(name) if token]
    main, per = _unit(unit)
    if main in tokens:
        main = ""
    per = "" if per == "per_" else per.removesuffix("_")
    if per in tokens:
        per = ""
    tokens += [token for token in (main.removesuffix("_") if per else main, per) if token]
    for suffix, applies in (("total", is_counter), ("ratio", is_gauge and unit == "1")):
        if applies:
            tokens = [token for token in tokens if token != suffix] + [suffix]
    found = "_".join(tokens)
    if not found.strip("_"):
        raise ValueError(f"{name!r} has no character that a metric name may have")
    return f"_{found}" if found[0].isdigit() else found


def unit_name(unit: str) -> str:
    """Return Prometheus' word for a unit, such as `bytes_per_second`."""
    return "_".join(filter(None, _unit(unit))).strip("_")


def label_name(name: str) -> str:
    """Return the label name for an attribute; raise ValueError if the attribute has no valid character."""
    found = _OTHER_IN_LABEL.sub("_", name)
    if found[:1].isdigit():
        found = f"key_{found}"
    elif found.startswith("_") and not found.startswith("__"):
        found = f"key{found}"
    if not found.strip("_"):
        raise ValueError(f"the attribute {name!r} has no character that a label name may have")
    return found


def _unit(unit: str) -> tuple[str, str]:
    """Return the words for a unit, and for what it is divided by, which starts with ``per_``."""
    main, _, per = unit.partition("/")
    words = []
    for part, table in ((main.strip(), _UNITS), (per.strip(), _PER)):
        words.append("" if "{" in part or "}" in part else table.get(part, part))
    if words[1]:
        words[1] = f"per_{words[1]}"
    return _clean(words[0]), _clean(words[1])


def _clean(unit: str) -> str:
    return re.sub(r"_+", "_", re.sub(r"[^a-zA-Z0-9:]", "_", unit)).removeprefix("_")


def value_text(value: Message) -> str:
    """Return the value of an attribute as text. Nested values become JSON."""
    plain = _plain(value)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, float):
        return number_text(plain)
    return "" if plain is None else json.dumps(plain, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _plain(value: Message) -> Any:
    """Return an `AnyValue` as a value of Python; None if it has none."""
    return next((_READERS[key](given) for key, given in value.items() if key in _READERS), None)


_READERS: dict[str, Callable[[Any], Any]] = {
    "stringValue": str,
    "boolValue": bool,
    "intValue": int,
    "doubleValue": float,
    "arrayValue": lambda given: [_plain(item) for item in given.get("values", [])],
    "kvlistValue": lambda given: {item["key"]: _plain(item.get("value", {})) for item in given.get("values", [])},
    "bytesValue": lambda given: base64.b64encode(given).decode() if isinstance(given, bytes) else str(given),
}


def number_text(value: float) -> str:
    """Format a number as the shortest decimal without an exponent, as Go formats bounds of buckets."""
    if not isfinite(value):
        return "NaN" if isnan(value) else ("+Inf" if value > 0 else "-Inf")
    found = format(Decimal(repr(value)), "f")
    return found.removesuffix(".0")
