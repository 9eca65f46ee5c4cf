"""The report of a backtest, as a table or as JSON."""

import json
from collections.abc import Mapping, Sequence

from metricat_cli import output
from metricat_cli.backtest import AlertRule, Firing
from metricat_cli.output import format_duration, format_time

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
    quiet = len(found) - len(fired)
    if not fired:
        return f"None of the {quiet} alert rules would have fired."
    return "\n".join([output.table(rows), "", f"Alert rules that would not have fired: {quiet}."])


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
