"""Generate the runbook of each alert: meaning, expression and defaults. The part "What to do" is written by hand."""

import textwrap
from collections.abc import Mapping, Sequence

from metricat_rules.anomaly import BASELINE
from metricat_rules.catalogue import RECORDINGS, Alert, Level
from metricat_rules.groups import kept, number
from metricat_rules.hub import HUB_ALERTS
from metricat_rules.operator import OPERATOR_ALERTS

BY_HAND = "## What to do\n"
"""The heading of the part that is written by hand. The generator keeps this part of a page."""

_NOTE = '<!-- Generated from the alert catalogue by `make generate`. The part "What to do" is written by hand. -->'
_INDEX_NOTE = """<!-- Generated from the alert catalogue by `make generate`; do not edit. -->

The tables list the alerts with their default thresholds and durations. The runbook of each alert has its expression,
the ways to change it, and the steps to take when it fires."""
_CHART = (
    "The chart installs this alert if its value `operator.prometheusRule.enabled` is true. The chart has no values for "
    "the threshold and the duration of the alert."
)
_HUB = (
    "The hub evaluates this alert if the setting `rules.shipped` is true. To change the alert, send "
    "`PUT /api/alerts/rules/{}`: see [rules of the hub](../hub/rules.md#read-and-change-rules)."
)
_WINDOW = (
    " In them, `[1m]` is the window for the default scrape interval. The window is four scrape intervals, and at least "
    "1 minute."
)
_WHERE = (
    "Set these fields in the MonitoringTarget. To change the alert only for some nodes, set the fields below `alerts` "
    "in an entry of `spec.pools`."
)


def page(alert: Alert, before: str) -> str:
    """Return the runbook of an alert. Keep the hand-written part of `before`, its earlier text."""
    by_hand = before.partition(BY_HAND)[2]
    parts = [
        f"# {alert.name}\n\n{_NOTE}",
        textwrap.fill(alert.meaning, 120, break_on_hyphens=False),
        _defaults(alert),
        f"## Expression\n\n```promql\n{_expressions(alert)}\n```",
        _recorded(alert),
        f"## How to change it\n\n{_how_to_change(alert)}",
        f"{BY_HAND}{by_hand or chr(10)}",
    ]
    return "\n\n".join(part for part in parts if part)


def index(alerts: Mapping[str, Sequence[Alert]]) -> str:
    """Return the page that lists the alerts with their levels, by group."""
    parts = [f"# Alerts\n\n{_INDEX_NOTE}"]
    for group, members in alerts.items():
        rows = [f"| [{one.name}]({one.name}.md) | {_levels(one)} | {_first_sentence(one.meaning)} |" for one in members]
        parts.append("\n".join([f"## {group}", "", "| alert | levels | meaning |", "| --- | --- | --- |", *rows]))
    return "\n\n".join(parts) + "\n"


def _levels(alert: Alert) -> str:
    texts = []
    for level in alert.levels:
        threshold = "" if level.threshold is None else f" {_threshold(alert, level)}"
        texts.append(f"{level.severity}{threshold} for {level.duration}")
    return "; ".join(texts)


def _first_sentence(text: str) -> str:
    return f"{text.partition('. ')[0].removesuffix('.')}."


def _defaults(alert: Alert) -> str:
    rows = [
        f"| {level.severity} | {_threshold(alert, level)} | {level.duration} | "
        f"{kept(level.duration) if alert.keep_firing else '0s'} |"
        for level in alert.levels
    ]
    head = "| level | threshold | fires after | keeps firing for |\n| --- | --- | --- | --- |\n"
    return head + "\n".join(rows)


def _threshold(alert: Alert, level: Level) -> str:
    return "none" if level.threshold is None else f"{number(level.threshold)} {alert.unit}".strip()


def _unscoped(expr: str) -> str:
    """Return the expression without the matchers for one target, which do not help a reader."""
    names = (("<window>", "1m"), ("<namespace>", "NAMESPACE"), ("<service>", "SERVICE"))
    for text, instead in (("{<selector>}", ""), (",<selector>", ""), ("<coverage>,", ""), *names):
        expr = expr.replace(text, instead)
    return expr


def _expressions(alert: Alert) -> str:
    """Return the common expression of the levels, or each level's expression."""
    if len({level.expr for level in alert.levels}) == 1:
        return _unscoped(alert.levels[0].expr or alert.expr)
    return "\n".join(f"# {level.severity}\n{_unscoped(level.expr or alert.expr)}" for level in alert.levels)


def _recorded(alert: Alert) -> str:
    """Return the expressions of all recorded series in the alert, directly or indirectly."""
    wanted: list[str] = [level.expr or alert.expr for level in alert.levels]
    found: dict[str, str] = {}
    for text in wanted:
        for recording in (*RECORDINGS, *BASELINE):
            if recording.name in text and recording.name not in found:
                found[recording.name] = _unscoped(recording.expr)
                wanted.append(recording.expr)
    if not found:
        return ""
    lines = "\n".join(f"{name} =\n  {expr}" for name, expr in found.items())
    window = _WINDOW if any("<window>" in text for text in wanted) else ""
    return f"The expression needs these recorded series.{window}\n\n```promql\n{lines}\n```"


def _how_to_change(alert: Alert) -> str:
    if alert in HUB_ALERTS:
        return _HUB.format(alert.name)
    return _CHART if alert in OPERATOR_ALERTS else _settings(alert)


def _settings(alert: Alert) -> str:
    lines = ["spec:", "  alerts:", "    rules:", f"      {alert.name}:"]
    for level in alert.levels:
        threshold = "" if level.threshold is None else f"threshold: {number(level.threshold)}, "
        lines.append(f"        {level.severity}: {{{threshold}for: {level.duration}}}")
    where = _WHERE if alert.per_node else f"{_WHERE.partition('.')[0]}."
    levels = " and ".join(f"`{level.severity}`" for level in alert.levels)
    more = (
        f"`enabled: false` disables a level. `labels`, next to {levels}, adds labels to the alert, for example for "
        "routing."
    )
    return "\n".join([where, "", "```yaml", *lines, "```", "", more])
