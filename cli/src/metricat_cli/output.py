"""Output of commands: tables, JSON and YAML, durations, times, and colors on a terminal."""

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

_COLORS = {"green": "32", "yellow": "33", "red": "31", "dim": "2", "bold": "1"}


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table with aligned columns. The first row is the header."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def structured(value: Any, form: str) -> str:
    """Return a value as `json` or `yaml`."""
    if form == "json":
        return json.dumps(value, indent=2)
    import yaml  # noqa: PLC0415 -- 20 ms, only for this format

    return str(yaml.safe_dump(value, sort_keys=False, width=120)).rstrip()


def note(text: str) -> None:
    """Print a note about the output to standard error, so that the output itself can be piped."""
    print(f"note: {text}", file=sys.stderr)  # noqa: T201 -- for people


def colored(text: str, color: str) -> str:
    """Return the text in a color if standard output is a terminal and NO_COLOR is not set."""
    if not color or os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return text
    return f"\x1b[{_COLORS[color]}m{text}\x1b[0m"


def encodable(text: str) -> bool:
    """Return whether standard output can write the text in its encoding."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units: 3d4h, 12m, 30s."""
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    first = next((place for place, (_, size) in enumerate(units) if seconds >= size), len(units) - 1)
    left, text = round(seconds), ""
    for unit, size in units[first : first + 2]:
        number, left = divmod(left, size)
        text += f"{number}{unit}" if number else ""
    return text or "0s"


def format_time(seconds: float) -> str:
    """Return a time, given in seconds since 1970, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def parse_time(text: str) -> float:
    """Return a time of Kubernetes or Prometheus (RFC 3339) in seconds since 1970; 0 for another text."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def format_bytes(number: float) -> str:
    """Return a number of bytes with a binary unit: 1.5Gi."""
    for unit in ("", "Ki", "Mi", "Gi", "Ti"):
        if number < 1024 or unit == "Ti":
            return f"{number:.0f}{unit}" if number >= 10 or not unit else f"{number:.1f}{unit}"
        number /= 1024
    raise AssertionError(number)
