"""The sections `route`, `inhibit_rules`, `time_intervals` and `escalation` of the settings file.

The first three have Alertmanager's format, so those of an existing alertmanager.yml can be copied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from metricat_hub.config.options import ROUTING_SECTIONS
from metricat_hub.config.sections import Section, fail
from metricat_hub.dispatch.inhibition import InhibitRule
from metricat_hub.dispatch.matchers import AlertMatchers, parse
from metricat_hub.dispatch.plan import Escalation, EscalationStep, Plan
from metricat_hub.dispatch.routes import ALL_LABELS, Route, Timing
from metricat_hub.dispatch.time_intervals import MINUTES_OF_A_DAY, Range, TimeInterval, zone
from metricat_hub.model.durations import parse_duration
from metricat_hub.model.ports import Matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from metricat_agent.config.yaml_text import Node
    from metricat_hub.model.ports import Operator

T = TypeVar("T")
DEFAULT_RECEIVER = "default"
_TIMING = ("group_wait", "group_interval", "repeat_interval")
_ROUTE = (
    *("receiver", "group_by", "match", "match_re", "matchers", "mute_time_intervals", "active_time_intervals"),
    *("continue", "routes", "labels", *_TIMING),
)
_SIDES = ("match", "match_re", "matchers")
_INHIBIT = ("name", "equal", *(f"{side}_{key}" for side in ("source", "target") for key in _SIDES))
_INTERVAL = ("times", "weekdays", "days_of_month", "months", "years", "location")
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,5}", re.ASCII)
_DEFAULT_TIMING = Timing(group_wait=1_000, group_interval=60_000)
"""The timing without a section `route`: shorter than Alertmanager's defaults, so that notifications arrive soon."""


@dataclass(frozen=True, slots=True)
class _Names:
    """The names that the sections may use."""

    receivers: Collection[str]
    intervals: Collection[str]


def parse_plan(root: Node | None, file: str, receivers: Collection[str], url: str = "") -> Plan:
    """Parse the routing settings of a file. `receivers` are the names of all receivers.

    Raises:
        ConfigFileError: a section is not valid, or names a receiver or a time interval that does not exist.
    """
    values: Mapping[str, Node] = root.value if root is not None and isinstance(root.value, dict) else {}
    sections = {key: node for key, node in values.items() if key in ROUTING_SECTIONS and not node.is_null}
    if root is None or not sections:
        return Plan(_default_route(receivers), url=url)
    whole = Section(replace(root, value=sections), "", file, ROUTING_SECTIONS)
    intervals: dict[str, tuple[TimeInterval, ...]] = {}
    for key in ("time_intervals", "mute_time_intervals"):
        for section in whole.sections(key, ("name", "time_intervals")):
            name = _required(section, "name")
            if name in intervals:
                section.fail("name", f"two time intervals have the name '{name}'; rename one of them")
            intervals[name] = tuple(_interval(one) for one in section.sections("time_intervals", _INTERVAL))
    names = _Names(receivers, intervals)
    return Plan(
        _root(whole, names),
        [_inhibit_rule(one) for one in whole.sections("inhibit_rules", _INHIBIT)],
        intervals,
        _escalations(whole, names),
        url,
    )


def _default_route(receivers: Collection[str]) -> Route | None:
    """Return the route to the receiver `default`; None if no such receiver exists."""
    if DEFAULT_RECEIVER not in receivers:
        return None
    return Route("{}", DEFAULT_RECEIVER, ("alertname",), _DEFAULT_TIMING)


def _root(whole: Section, names: _Names) -> Route | None:
    section = whole.section("route", _ROUTE)
    if section is None:
        return _default_route(names.receivers)
    for key in (*_SIDES, "mute_time_intervals", "active_time_intervals"):
        if key in section.values and not section.values[key].is_null and section.values[key].value:
            section.fail(key, "not allowed in the first route, which gets all alerts; move it to a route below routes")
    if not section.text("receiver"):
        section.fail("receiver", "missing; set the receiver for alerts that no other route matches")
    return _route(section, Route("", "", (), Timing()), names, "")


def _route(section: Section, parent: Route, names: _Names, suffix: str) -> Route:
    matchers = _matchers(section, "")
    receiver = section.text("receiver") or parent.receiver
    _check_receiver(section, "receiver", receiver, names)
    key = f"{parent.key}/{matchers}{suffix}" if parent.key else str(matchers)
    mute, active = (_interval_names(section, one, names) for one in ("mute_time_intervals", "active_time_intervals"))
    route = Route(
        key,
        receiver,
        _group_by(section, parent),
        _timing(section, parent.timing),
        matchers,
        section.switch("continue", default=False),
        mute,
        active,
    )
    children: list[Route] = []
    seen: dict[AlertMatchers, int] = {}
    for one in section.sections("routes", _ROUTE):
        own = _matchers(one, "")
        seen[own] = seen.get(own, 0) + 1
        children.append(_route(one, route, names, f"#{seen[own]}" if seen[own] > 1 else ""))
    return replace(route, routes=tuple(children))


def _group_by(section: Section, parent: Route) -> tuple[str, ...]:
    if "group_by" not in section.values or section.values["group_by"].is_null:
        return parent.group_by
    names = section.texts("group_by")
    for name in names:
        if not name:
            section.fail("group_by", "the name of a label is empty; write the name")
        if names.count(name) > 1:
            section.fail("group_by", f"the label '{name}' occurs twice; remove one of them")
    if ALL_LABELS in names and len(names) > 1:
        section.fail("group_by", "'...' means all labels; remove the other labels, or remove '...'")
    return names


def _timing(section: Section, parent: Timing) -> Timing:
    given = {key: section.parsed(key, parse_duration, getattr(parent, key)) for key in _TIMING}
    for key in _TIMING[1:]:
        if given[key] < 1:
            section.fail(key, "must be above zero; write for example 5m")
    return Timing(**given)


def _matchers(section: Section, prefix: str) -> AlertMatchers:
    """Return the matchers of the keys with a prefix; `match` and `match_re` are those of old releases."""
    found: list[Matcher] = []
    forms: tuple[tuple[str, Operator], ...] = (("match", "="), ("match_re", "=~"))
    for key, operator in forms:
        found += [Matcher(name, operator, value) for name, value in section.pairs(f"{prefix}{key}").items()]
    key = f"{prefix}matchers"
    try:
        return AlertMatchers([*found, *parse(section.texts(key)).matchers])
    except ValueError as error:
        section.fail(next(one for one in (key, f"{prefix}match_re", key) if one in section.values), str(error))


def _check_receiver(section: Section, key: str, name: str, names: _Names) -> None:
    if name not in names.receivers:
        known = ", ".join(sorted(names.receivers))
        remedy = f"use one of {known}, or add the receiver to receivers" if known else "add the receiver to receivers"
        section.fail(key, f"no receiver has the name '{name}'; {remedy}")


def _interval_names(section: Section, key: str, names: _Names) -> tuple[str, ...]:
    found = section.texts(key)
    for name in found:
        if name not in names.intervals:
            section.fail(key, f"no time interval has the name '{name}'; add the interval to time_intervals")
    return found


def _inhibit_rule(section: Section) -> InhibitRule:
    source, target = _matchers(section, "source_"), _matchers(section, "target_")
    return InhibitRule(source, target, section.texts("equal"), section.text("name"))


def _escalations(whole: Section, names: _Names) -> list[Escalation]:
    found: list[Escalation] = []
    for number, section in enumerate(whole.sections("escalation", ("name", "matchers", "steps")), 1):
        name = section.text("name", str(number))
        if any(one.name == name for one in found):
            section.fail("name", f"two escalations have the name '{name}'; rename one of them")
        steps: list[EscalationStep] = []
        for one in section.sections("steps", ("after", "receiver")):
            after = one.parsed("after", parse_duration, 0)
            if after < 1 or (steps and after < steps[-1].after):
                one.fail(
                    "after",
                    "missing, zero, or not later than the previous step; write for example 15m, and sort the steps by "
                    "time",
                )
            receiver = _required(one, "receiver")
            _check_receiver(one, "receiver", receiver, names)
            steps.append(EscalationStep(after, receiver))
        if not steps:
            section.fail("steps", "missing; write for example - {after: 15m, receiver: NAME}")
        found.append(Escalation(name, tuple(steps), _matchers(section, "")))
    return found


def _interval(section: Section) -> TimeInterval:
    times = tuple(_times(one) for one in section.sections("times", ("start_time", "end_time")))
    return TimeInterval(
        times if "times" in section.values else None,
        _ranges(section, "weekdays", _weekday),
        _days(section),
        _ranges(section, "months", _month),
        _ranges(section, "years", _year),
        section.parsed("location", zone, zone("")),
    )


def _times(section: Section) -> Range:
    start, end = (section.parsed(key, parse_minute, -1) for key in ("start_time", "end_time"))
    if not -1 < start < end:
        section.fail(
            "end_time",
            "start_time or end_time is missing, or end_time is not after start_time; for a time across midnight, use "
            "two intervals",
        )
    return start, end


def _days(section: Section) -> tuple[Range, ...] | None:
    found = _ranges(section, "days_of_month", _day)
    for first, last in found or ():
        if first < 0 < last or (first + 28 if first < 0 else first) > (last + 28 if last < 0 else last):
            section.fail(
                "days_of_month", f"the range {first}:{last} ends before it starts; write for example 1:7 or -3:-1"
            )
    return found


def _ranges(section: Section, key: str, parse_one: Callable[[str], int]) -> tuple[Range, ...] | None:
    if key not in section.values or section.values[key].is_null:
        return None
    found = []
    for node in section.items(key):
        text = node.value if isinstance(node.value, str) else ""
        first, colon, last = text.lower().partition(":")
        try:
            value = parse_one(first), parse_one(last if colon else first)
        except ValueError as error:
            fail(section.file, node.line, f"{section.path}{key}", str(error))
        if value[0] > value[1] and key != "days_of_month":
            fail(
                section.file,
                node.line,
                f"{section.path}{key}",
                f"the range '{text}' ends before it starts; use two ranges",
            )
        found.append(value)
    return tuple(found)


def parse_minute(text: str) -> int:
    """Parse a time of day such as 09:30; return the minute of the day. Raise ValueError for another form."""
    if not (found := _TIME.fullmatch(text)):
        raise ValueError(f"invalid time '{text[:20]}'; write for example 09:30, or 24:00 for the end of the day")
    return int(found[1]) * 60 + int(found[2]) if found[1] else MINUTES_OF_A_DAY


def _weekday(text: str) -> int:
    if text not in _WEEKDAYS:
        raise ValueError(f"unknown day '{text[:20]}'; write for example monday, or monday:friday")
    return _WEEKDAYS.index(text)


def _month(text: str) -> int:
    if text in _MONTHS:
        return _MONTHS.index(text) + 1
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 12):
        raise ValueError(f"unknown month '{text[:20]}'; write for example january, or 1:3")
    return int(text)


def _day(text: str) -> int:
    if not (_NUMBER.fullmatch(text) and 1 <= abs(int(text)) <= 31):
        raise ValueError(
            f"unknown day of the month '{text[:20]}'; write 1 to 31, or -31 to -1 from the end of the month"
        )
    return int(text)


def _year(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"invalid year '{text[:20]}'; write for example 2027, or 2027:2028")
    return int(text)


def _required(section: Section, key: str) -> str:
    text = section.text(key)
    if not text:
        section.fail(key, "missing; set a value")
    return text
