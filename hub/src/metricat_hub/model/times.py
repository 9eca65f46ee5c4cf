"""Times as text. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(milliseconds: int) -> str:
    """Return a time in UTC with seconds, such as ``2026-01-31T12:00:00Z``."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def rfc3339(milliseconds: int) -> str:
    """Return a time in UTC with milliseconds, such as ``2026-01-31T12:00:00.000Z``."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
