"""Times as text. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(milliseconds: int) -> str:
    """Format milliseconds since 1970 in UTC with seconds, such as `2026-01-31T12:00:00Z`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def rfc3339(milliseconds: int) -> str:
    """Format milliseconds since 1970 in UTC with milliseconds, such as `2026-01-31T12:00:00.000Z`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> int:
    """Parse a time; return milliseconds since 1970. Raise ValueError without a UTC offset, or before 1970."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or found.year < 1970:
        raise ValueError(
            f"{text[:100]!r} is not a time from 1970 on with a UTC offset; use for example 2026-01-31T12:00:00Z"
        )
    return int(found.timestamp() * 1000)
