"""The report of a backtest, as a table or as JSON."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from metricat_cli.backtest import AlertRule, Firing

_MOST_NODES = 3
_SEVERITIES = ("critical", "warning", "info")


def table(found: Mapping[AlertRule, Sequence[Firing]]) -> str:
    """Return a table of the rules that would have fired, the most severe first, and the number of the others."""
    rows = [("ALERT", "SEVERITY", "FIRED", "TOTAL", "LONGEST", "LAST", "NODES")]
    fired = [(rule, firings) for rule, firings in found.items() if firings]
    for rule, firings in sorted(fired, key=lambda pair: (_rank(pair[0].severity), -len(pair[1]))):
        lengths = [firing.episode.seconds for firing in firings]
        last = max(firing.episode.start for firing in firings)
        cells = (format_duration(sum(lengths)), format_duration(max(lengths)), format_time(last), _nodes(firings))
        rows.append((rule.alert, rule.severity or "-", str(len(firings)), *cells))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    quiet = len(found) - len(fired)
    if not fired:
        return f"None of the {quiet} alert rules would have fired."
    return "\n".join([*lines, "", f"Alert rules that would not have fired: {quiet}."])


def to_json(found: Mapping[AlertRule, Sequence[Firing]]) -> str:
    """Return all firings as a JSON list: alert, severity, labels, start and end in seconds since 1970 (UTC)."""
    return json.dumps(
        [
            {
                "alert": firing.rule.alert,
                "severity": firing.rule.severity,
                "labels": firing.labels,
                "start": firing.episode.start,
                "end": firing.episode.end,
            }
            for firings in found.values()
            for firing in firings
        ],
        indent=2,
    )


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


def _rank(severity: str) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)


def _nodes(firings: Sequence[Firing]) -> str:
    counts: dict[str, int] = {}
    for firing in firings:
        if node := firing.labels.get("node"):
            counts[node] = counts.get(node, 0) + 1
    most = sorted(counts, key=lambda node: (-counts[node], node))
    more = f" and {len(most) - _MOST_NODES} more" if len(most) > _MOST_NODES else ""
    return ", ".join(f"{node} ({counts[node]})" for node in most[:_MOST_NODES]) + more if most else "-"
