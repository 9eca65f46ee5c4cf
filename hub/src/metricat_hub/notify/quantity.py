"""Formats values with units, and durations, for messages. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from metricat_rules.catalogue import CATALOGUE

if TYPE_CHECKING:
    from metricat_hub.notify.condition import Condition

_UNITS = {one.name: one.unit.partition(" or less")[0].removesuffix(",") for one in CATALOGUE}
"""Units of the shipped alerts. The unit `hours or less` of a threshold becomes `hours` for the value."""
_SUFFIXES = {
    "percent": "%",
    "bytes": "B",
    "seconds": "s",
    "milliseconds": "ms",
    "celsius": "°C",
    "hertz": "Hz",
    "volts": "V",
    "amperes": "A",
    "watts": "W",
    "joules": "J",
    "hours": "hours",
}
"""Units by the last word of a metric's name."""
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_WORDS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000))


def unit_of(alert: str, found: Condition | None) -> str:
    """Return the unit of an alert's value, from the shipped alert or the metric name; empty: unknown."""
    if unit := _UNITS.get(alert):
        return unit
    if found is None:
        return ""
    return _SUFFIXES.get(found.metric.replace(":", "_").rsplit("_", 1)[-1], "")


def format_value(value: float, unit: str) -> str:
    """Format a value with its unit, for example `97.3 %`, `1.5 GiB` or `12`."""
    if unit == "B" and math.isfinite(value):
        power = min(int(math.log(abs(value), 1024)), len(_BINARY) - 1) if abs(value) >= 1 else 0
        return f"{_number(value / 1024**power)} {_BINARY[power]}B"
    return f"{_number(value)} {unit}" if unit else _number(value)


def format_span(milliseconds: int) -> str:
    """Format a duration with its two largest units, for example `2h 5m`."""
    left = max(0, milliseconds)
    parts: list[str] = []
    for unit, size in _WORDS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts)) or "0s"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    size = math.floor(math.log10(abs(value)))
    if not -4 <= size < 15:
        return f"{value:.3g}"
    text = f"{value:.{max(0, 2 - size)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
