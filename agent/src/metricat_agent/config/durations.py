"""Durations in the two grammars that the agent reads. Pure.

Settings are plain seconds, such as ``1.5``. Prometheus' web config contains Go durations, such as ``1m30s``.
"""

from __future__ import annotations

import re

from metricat_agent.collectors.option import parse_decimal

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_MOST_SECONDS = 2**63 / 1e9
"""Go counts nanoseconds in 64 bits."""
_NUMBER, _UNIT = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+", "ns|us|µs|ms|s|m|h"
_PART = re.compile(f"({_NUMBER})({_UNIT})")
_DURATION = re.compile(f"(?:(?:{_NUMBER})(?:{_UNIT}))+")


def parse_seconds(text: str) -> float:
    """Return a plain number of seconds, such as ``1.5``; raise ValueError for any other text."""
    try:
        return parse_decimal(text)
    except ValueError:
        raise ValueError(f"invalid number of seconds '{text}'; use for example 1.5") from None


def parse_go_duration(text: str) -> float:
    """Return a Go duration, such as ``1m30s``, in seconds; raise ValueError for any other text."""
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError(f"invalid duration '{text}'; use for example 1s, 500ms or 1m30s")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if seconds > _MOST_SECONDS:
        raise ValueError(f"duration '{text}' is above 290 years; use for example 1s, 500ms or 1m30s")
    return seconds
