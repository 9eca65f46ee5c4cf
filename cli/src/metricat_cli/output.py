"""Output of commands: tables, JSON and YAML, durations, times, and colors on a terminal."""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

_INDENT = "    "
_COLORS = {"green": "32", "yellow": "33", "red": "31", "dim": "2", "bold": "1"}


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table as `table_rows` formats it."""
    return "\n".join(table_rows(rows))


def table_rows(rows: Sequence[Sequence[str]], columns: int | None = None) -> list[str]:
    """Return the text of each row of a table with aligned cells. The first row is the header.

    On a terminal that is narrower than the table, each row takes several lines. The second and later ones are indented.
    `columns` is the width of the terminal: 0 for unlimited, None for the terminal of standard output.
    """
    limit = (terminal_columns() if columns is None else columns) or sys.maxsize
    groups: list[list[tuple[int, int]]] = [[]]
    used = 0
    for column in range(len(rows[0])):
        width = max(len(row[column]) for row in rows)
        if groups[-1] and used + 2 + width > limit:
            groups.append([])
            used = len(_INDENT)
        used += width + (2 if groups[-1] else 0)
        groups[-1].append((column, width))
    return ["\n".join(_line(row, group, limit, first=group is groups[0]) for group in groups) for row in rows]


def _line(row: Sequence[str], group: Sequence[tuple[int, int]], limit: int, *, first: bool) -> str:
    """Return the cells of a group of columns in one line; a cell that is wider than the terminal in several."""
    indent = "" if first else _INDENT
    text = "  ".join(row[column].ljust(width) for column, width in group).rstrip()
    if len(group) > 1 or len(indent) + len(text) <= limit:
        return indent + text
    return textwrap.fill(text, limit, initial_indent=indent, subsequent_indent=_INDENT, break_on_hyphens=False)


def terminal_columns() -> int:
    """Return the width of the terminal; 0 if standard output is not a terminal."""
    return shutil.get_terminal_size((0, 0)).columns if sys.stdout and sys.stdout.isatty() else 0


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
