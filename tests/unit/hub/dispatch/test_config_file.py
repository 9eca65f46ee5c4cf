"""Sections of routing: inheritance, Alertmanager's old keys, and errors with line, key and remedy."""

from __future__ import annotations

import pytest

from metricat_hub.config.sections import ConfigFileError
from metricat_hub.dispatch.inhibition import SHIPPED
from metricat_hub.dispatch.routes import Timing
from support.router import plan_of

ALERTMANAGER = """
route:
  receiver: default
  group_by: [alertname, node]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 12h
  routes:
    - match: {severity: critical}
      match_re: {team: db|web}
      receiver: pager
      repeat_interval: 1h
      labels: {a: b}
      routes:
        - {matchers: [node=a], group_by: ['...'], mute_time_intervals: [weekend], active_time_intervals: [office]}
        - {matchers: [node=a], receiver: boss}
inhibit_rules:
  - {name: one, source_match: {a: b}, target_match_re: {c: d.*}, equal: [node]}
time_intervals:
  - name: weekend
    time_intervals: [{weekdays: ['saturday', Sunday], location: Asia/Seoul}]
mute_time_intervals:
  - name: office
    time_intervals:
      - times: [{start_time: 09:00, end_time: '17:30'}]
        weekdays: ['monday:friday']
        days_of_month: ['1:5', '-3:-1']
        months: ['january:march', 5]
        years: ['2026:2027', '2030']
"""


def test_routes_inherit_from_their_parents() -> None:
    root = plan_of(ALERTMANAGER).root
    assert root is not None
    [child] = root.routes
    first, second = child.routes
    assert root.timing == Timing(30_000, 300_000, 43_200_000)
    assert child.timing == Timing(30_000, 300_000, 3_600_000)
    assert (child.group_by, first.group_by, second.group_by) == (("alertname", "node"), ("...",), ("alertname", "node"))
    assert (first.receiver, second.receiver) == ("pager", "boss")
    assert (first.mute, first.active) == (("weekend",), ("office",))
    assert child.key == '{}/{severity="critical",team=~"db|web"}'
    assert len({route.key for route in root.walk()}) == 4


def test_time_intervals_and_inhibition_are_read() -> None:
    plan = plan_of(ALERTMANAGER)
    [office], [weekend] = plan.intervals["office"], plan.intervals["weekend"]
    assert (office.times, office.weekdays, office.days_of_month) == (((540, 1050),), ((1, 5),), ((1, 5), (-3, -1)))
    assert (office.months, office.years) == (((1, 3), (5, 5)), ((2026, 2027), (2030, 2030)))
    assert (weekend.weekdays, str(weekend.zone)) == (((6, 6), (0, 0)), "Asia/Seoul")
    assert plan.inhibit_rules[: len(SHIPPED)] == SHIPPED
    own = plan.inhibit_rules[-1]
    assert (own.source.texts(), own.target.texts(), own.equal) == (['a="b"'], ['c=~"d.*"'], ("node",))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("route: {receiver: defult}", "line 1: route.receiver: no receiver has the name 'defult'; use one of boss, "),
        ("route: {}", "route.receiver: missing"),
        ("route: {receiver: pager, matchers: [a=b]}", "route.matchers: not allowed in the first route"),
        ("route: {receiver: pager, group_wait: 1x}", "route.group_wait: invalid duration '1x'"),
        ("route: {receiver: pager, group_interval: 0s}", "route.group_interval: must be above zero"),
        ("route: {receiver: pager, group_by: ['...', a]}", "route.group_by: '...' means all labels"),
        ("route: {receiver: pager, group_by: [a, a]}", "route.group_by: the label 'a' occurs twice"),
        ("route: {receiver: pager, recievers: x}", "route.recievers: unknown key; did you mean receiver?"),
        (
            "route:\n  receiver: pager\n  routes:\n    - matchers: [a~b]",
            "line 4: route.routes[0].matchers: invalid matcher",
        ),
        ("route: {receiver: pager, routes: [{match_re: {a: '('}}]}", "route.routes[0].match_re: invalid regular"),
        ("route: {receiver: pager, routes: [{mute_time_intervals: [x]}]}", "no time interval has the name 'x'"),
        ("time_intervals: [{time_intervals: []}]", "time_intervals[0].name: missing"),
        ("time_intervals: [{name: a}, {name: a}]", "two time intervals have the name 'a'"),
        ("time_intervals: [{name: a, time_intervals: [{weekdays: [friday:monday]}]}]", "ends before it starts"),
        ("time_intervals: [{name: a, time_intervals: [{weekdays: [freitag]}]}]", "unknown day 'freitag'"),
        ("time_intervals: [{name: a, time_intervals: [{days_of_month: ['0']}]}]", "unknown day of the month '0'"),
        ("time_intervals: [{name: a, time_intervals: [{days_of_month: ['5:1']}]}]", "the range 5:1 ends before"),
        ("time_intervals: [{name: a, time_intervals: [{months: [13]}]}]", "unknown month '13'"),
        ("time_intervals: [{name: a, time_intervals: [{years: [x]}]}]", "invalid year 'x'"),
        ("time_intervals: [{name: a, time_intervals: [{location: Mars}]}]", "unknown time zone 'Mars'"),
        (
            "time_intervals: [{name: a, time_intervals: [{times: [{start_time: '9:00', end_time: '10:00'}]}]}]",
            "times[0].start_time: invalid time '9:00'; write for example 09:30",
        ),
        (
            "time_intervals: [{name: a, time_intervals: [{times: [{start_time: '22:00', end_time: '06:00'}]}]}]",
            "end_time is not after start_time; for a time across midnight, use two intervals",
        ),
        ("escalation: [{matchers: [a=b]}]", "escalation[0].steps: missing"),
        ("escalation: [{steps: [{after: 5m, receiver: x}]}]", "escalation[0].steps[0].receiver: no receiver"),
        (
            "escalation: [{steps: [{after: 5m, receiver: boss}, {after: 1m, receiver: pager}]}]",
            "escalation[0].steps[1].after: missing, zero, or not later than the previous step",
        ),
    ],
)
def test_invalid_section_is_rejected_with_key_and_remedy(text: str, problem: str) -> None:
    with pytest.raises(ConfigFileError) as raised:
        plan_of(text)
    assert problem in str(raised.value)
