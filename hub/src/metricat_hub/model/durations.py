"""Durations in Prometheus' notation, such as ``1d12h`` or ``30s``, and sizes such as ``20GB``. Pure."""

from __future__ import annotations

import re

_UNITS = {"y": 365 * 86_400_000, "w": 7 * 86_400_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
"""Milliseconds by unit, the longest first."""
_DURATION = re.compile("".join(f"(?:([0-9]+){unit})?" for unit in _UNITS), re.ASCII)
_MOST = 2**63 // 1_000_000
"""The longest duration in milliseconds. Prometheus stores durations as nanoseconds in 64 bits."""
_SIZES = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40, "PB": 2**50}
_SIZE = re.compile(r"([0-9]+)(B|[KMGTP]B)", re.ASCII)


def parse_duration(text: str) -> int:
    """Parse a duration; return milliseconds. Raise ValueError for any other text."""
    found = _DURATION.fullmatch(text)
    if text == "0":
        return 0
    if not found or not text:
        raise ValueError(f"invalid duration {text!r}; use for example 30d, 12h or 1m30s")
    total = sum(int(number or 0) * size for number, size in zip(found.groups(), _UNITS.values(), strict=True))
    if total > _MOST:
        raise ValueError(f"duration {text!r} is above 292 years; use for example 1y, 30d or 12h")
    return total


def format_duration(milliseconds: int) -> str:
    """Format milliseconds, for example as `1d12h`. Years are used only for whole years, weeks never."""
    if not milliseconds:
        return "0s"
    if milliseconds % _UNITS["y"] == 0:
        return f"{milliseconds // _UNITS['y']}y"
    parts = []
    for unit, size in _UNITS.items():
        if unit in ("y", "w"):
            continue
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def format_go_duration(milliseconds: int) -> str:
    """Format milliseconds as Prometheus does: with `y` or `w` only for whole years or weeks, for example `90d`."""
    if not milliseconds:
        return "0s"
    parts = []
    for unit, size in _UNITS.items():
        if unit in ("y", "w") and milliseconds % size:
            continue
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def parse_size(text: str) -> int:
    """Parse a size such as `512MB`, with units in powers of 1024; return bytes. Raise ValueError for any other text."""
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError(f"invalid size {text!r}; use for example 512MB or 20GB")
    return int(found[1]) * _SIZES[found[2]]
