"""The content of a notification that the messages of all channels share. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from metricat_hub.model.times import utc
from metricat_hub.notify.condition import Condition, condition
from metricat_hub.notify.quantity import format_span, format_value, unit_of
from metricat_hub.notify.sparkline import Trend

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from metricat_hub.model.alerts import ActiveAlert, Notification

    Trends: TypeAlias = Callable[[ActiveAlert, int], Sequence[float]]
    """Returns the values of an alert's expression in the hour before a time; an empty sequence if unknown."""

MOST_SHOWN: Final = 20
"""The most alerts that a message describes. It only counts further alerts."""
_MOST_TRENDS = 5
_MOST_NAMES = 3
_MOST_TITLE = 200
_SEVERITIES = ("critical", "error", "warning", "info")
"""The severities, the most severe first. Other severities rank after them."""
_PLACES = ("node", "instance", "target", "job")
"""Labels that name the place of an alert, the most specific first."""
_OWN_ANNOTATIONS = frozenset({"summary", "description", "action", "runbook_url", "unit"})


@dataclass(frozen=True, slots=True)
class AlertText:
    """The texts about one alert. An empty text means unknown."""

    alert: ActiveAlert
    status: Literal["firing", "resolved"]
    severity: str
    place: str
    summary: str
    description: str
    value: str
    threshold: str
    since: str
    """Start and duration of the alert."""
    trend: Trend | None
    action: str
    runbook: str
    link: str
    further: Mapping[str, str] = field(default_factory=dict)
    """Annotations of the rule that are not part of the other texts."""


@dataclass(frozen=True, slots=True)
class Content:
    """The texts about a notification."""

    title: str
    status: Literal["firing", "resolved"]
    severity: str
    """The highest severity of the alerts."""
    firing: int
    resolved: int
    alerts: Sequence[AlertText]
    """The described alerts, sorted by state (firing first), then by severity."""
    hidden: str
    """Number and names of the alerts that are not shown, such as `and 80 more: 60 NodeCPUUsageHigh, 20 NodeDown`."""
    link: str


def no_trend(_: ActiveAlert, __: int) -> Sequence[float]:
    """Return no values: the default for `describe`."""
    return ()


def describe(notification: Notification, at: int, trends: Trends = no_trend) -> Content:
    """Return the content of a notification; `at` is the time of the message in milliseconds."""
    alerts = sorted(notification.alerts, key=_rank)
    firing = [one for one in alerts if one.resolved_at is None]
    shown = alerts[:MOST_SHOWN]
    texts = [
        _alert(one, notification.url, at, trends if place < _MOST_TRENDS else no_trend)
        for place, one in enumerate(shown)
    ]
    names = Counter(one.name for one in alerts[MOST_SHOWN:])
    counts = ", ".join(f"{count} {name}" for name, count in names.most_common(5))
    return Content(
        title=title(notification),
        status="firing" if firing else "resolved",
        severity=severity(firing[0] if firing else alerts[0]) if alerts else "",
        firing=len(firing),
        resolved=len(alerts) - len(firing),
        alerts=texts,
        hidden=f"and {sum(names.values())} more: {counts}" if names else "",
        link=f"{notification.url}/alerts" if notification.url else "",
    )


def title(notification: Notification) -> str:
    """Return the subject, for example `[FIRING 2] NodeCPUUsageHigh on web-1, web-2 (critical)`."""
    alerts = sorted(notification.alerts, key=_rank)
    firing = [one for one in alerts if one.resolved_at is None]
    main = firing or alerts
    state = f"FIRING {len(firing)}" if firing else f"RESOLVED {len(alerts)}"
    if firing and len(firing) < len(alerts):
        state += f", RESOLVED {len(alerts) - len(firing)}"
    if notification.reason in ("escalated", "test"):
        state = f"{notification.reason.upper()}, {state}"
    names = _listed(list(dict.fromkeys(one.name for one in main)))
    places = _listed(list(dict.fromkeys(filter(None, map(_place, main)))))
    highest = severity(main[0]) if main else ""
    text = f"[{state}] {names}{f' on {places}' if places else ''}{f' ({highest})' if highest else ''}"
    return one_line(text, _MOST_TITLE)


def severity(alert: ActiveAlert) -> str:
    """Return the severity of an alert; empty if it has none."""
    return dict(alert.labels).get("severity", "")


def one_line(text: str, most: int) -> str:
    """Return a text without control characters, cut to `most` characters."""
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _alert(alert: ActiveAlert, url: str, at: int, trends: Trends) -> AlertText:
    labels, notes = dict(alert.labels), alert.annotations
    found = condition(alert.expression)
    unit = notes.get("unit") or unit_of(alert.name, found)
    begin = alert.fired_at if alert.fired_at is not None else alert.active_at
    values = trends(alert, at)
    return AlertText(
        alert=alert,
        status="firing" if alert.resolved_at is None else "resolved",
        severity=labels.get("severity", ""),
        place=_place(alert),
        summary=notes.get("summary", "") or alert.name,
        description=notes.get("description", ""),
        value=format_value(alert.value, unit),
        threshold=_threshold(found, unit),
        since=_since(alert, begin, at),
        trend=Trend.of(values, unit) if values else None,
        action=notes.get("action", ""),
        runbook=notes.get("runbook_url", ""),
        link=f"{url}/alerts/{alert.fingerprint}" if url else "",
        further={name: text for name, text in notes.items() if name not in _OWN_ANNOTATIONS and text},
    )


def _threshold(found: Condition | None, unit: str) -> str:
    return f"{found.operator} {format_value(found.threshold, unit)}" if found else ""


def _since(alert: ActiveAlert, begin: int, at: int) -> str:
    if alert.resolved_at is not None:
        return f"{utc(begin)} to {utc(alert.resolved_at)} ({format_span(alert.resolved_at - begin)})"
    return f"{utc(begin)} ({format_span(at - begin)})"


def _place(alert: ActiveAlert) -> str:
    labels = dict(alert.labels)
    return next((labels[name] for name in _PLACES if labels.get(name)), "")


def _rank(alert: ActiveAlert) -> tuple[bool, int, str, str]:
    level = severity(alert)
    rank = _SEVERITIES.index(level) if level in _SEVERITIES else len(_SEVERITIES)
    return alert.resolved_at is not None, rank, alert.name, _place(alert)


def _listed(names: Sequence[str]) -> str:
    """Return some names, and how many more there are."""
    if len(names) <= _MOST_NAMES + 1:
        return ", ".join(names)
    return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"
