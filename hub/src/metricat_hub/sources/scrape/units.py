"""Durations and sizes as Prometheus' configuration writes them. Pure."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_MILLISECONDS = (365 * 86_400_000, 7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1000, 1)
_NAMES = ("y", "w", "d", "h", "m", "s", "ms")
_SIZE = re.compile(r"(\d+)\s*(?:([KMGT])i?)?B?", re.ASCII)


def parse_duration(text: str) -> int:
    """Return a duration, such as ``1m30s``, in milliseconds; raise ValueError for any other text."""
    found = _DURATION.fullmatch(text)
    if text == "0":
        return 0
    if not text or not found:
        raise ValueError(f"invalid duration '{text}'; write for example 15s or 1m30s")
    total = sum(int(number or 0) * unit for number, unit in zip(found.groups(), _MILLISECONDS, strict=True))
    if total > 2**63 // 1_000_000:
        raise ValueError(f"duration '{text}' is above 290 years; write for example 15s or 1m30s")
    return total


def duration_text(milliseconds: int) -> str:
    """Return a duration as Prometheus writes it, such as ``1m30s``."""
    if not milliseconds:
        return "0s"
    parts = []
    for unit, name in zip(_MILLISECONDS, _NAMES, strict=True):
        # Years and weeks are used only where they divide the duration.
        if name in {"y", "w"} and milliseconds % unit:
            continue
        count, milliseconds = divmod(milliseconds, unit)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts)


def parse_size(text: str) -> int:
    """Return a size, such as ``10MB``, in bytes, each unit 1,024 of the smaller; raise ValueError for other text."""
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError(f"invalid size '{text}'; write for example 10MB")
    return int(found[1]) << 10 * ("KMGT".index(found[2]) + 1 if found[2] else 0)
