"""Steps of routing: groups, repeats, inhibition, silences, acknowledgements, escalation and storms."""

from __future__ import annotations

from dataclasses import replace

from metricat_hub.dispatch.matchers import parse
from metricat_hub.dispatch.silences import Acknowledgement, MaintenanceWindow, Silence
from metricat_hub.dispatch.step import STORM_GROUPS
from support.router import Router, Sent, plan_of

ROUTE = """
route:
  receiver: default
  group_by: [alertname]
  group_wait: 10s
  group_interval: 60s
  repeat_interval: 10m
"""
FOREVER = 10**12


def router(more: str = "", route: str = ROUTE) -> Router:
    found = Router(plan_of(route + more))
    found.now = 1_000_000
    return found


def test_group_waits_changes_at_its_interval_and_repeats() -> None:
    own = router()
    own.fire("High", node="a")
    assert own.until(1_009) == []
    own.fire("High", node="b")
    assert own.until(1_010) == [(1_010, Sent("default", "new", ["High/a", "High/b"]))]
    own.fire("High", node="c")
    own.resolve("High", node="a")
    assert own.until(1_069) == []
    assert own.until(1_070) == [(1_070, Sent("default", "changed", ["High/b", "High/c"], ["High/a"]))]
    assert own.until(1_669) == []
    assert own.until(1_670) == [(1_670, Sent("default", "repeated", ["High/b", "High/c"]))]
    own.resolve("High", node="b")
    own.resolve("High", node="c")
    assert own.until(1_800) == [(1_730, Sent("default", "resolved", [], ["High/b", "High/c"]))]
    assert own.state.groups == {}


def test_groups_are_separate_by_the_values_of_their_labels() -> None:
    own = router()
    own.fire("High", node="a")
    own.fire("Low", node="a")
    found = [one for _, one in own.until(1_100)]
    assert found == [Sent("default", "new", ["High/a"]), Sent("default", "new", ["Low/a"])]
    assert len({one.group_key for one in own.notifications}) == 2
    assert [one.group_labels for one in own.notifications] == [{"alertname": "High"}, {"alertname": "Low"}]


def test_alert_that_resolves_before_the_wait_ends_is_not_sent() -> None:
    own = router()
    own.fire("High")
    own.until(1_005)
    own.resolve("High")
    assert own.until(1_200) == []


def test_alert_that_fires_for_longer_than_the_wait_is_sent_at_once() -> None:
    own = router()
    own.fire("High")
    own.now += 60_000
    assert own.step() == [Sent("default", "new", ["High"])]


def test_alert_without_a_rule_is_sent_as_resolved() -> None:
    own = router()
    own.fire("High", {"summary": "a text"})
    own.until(1_020)
    own.vanish("High")
    assert own.until(1_100) == [(1_070, Sent("default", "resolved", [], ["High"]))]
    assert own.notifications[-1].alerts[0].annotations == {"summary": "a text"}
    assert own.state.alerts == {}


def test_step_that_is_repeated_makes_the_same_notification() -> None:
    own = router()
    own.fire("High")
    own.until(1_009)
    before = own.state
    own.now += 1_000
    own.step()
    own.state = before
    own.now += 3_000
    own.step()
    assert own.notifications[0].identity == own.notifications[1].identity
    own.until(2_000)
    assert len({one.identity for one in own.notifications}) == len(own.notifications) - 1


def test_continued_route_sends_to_both_receivers() -> None:
    own = router(
        "  routes:\n    - {receiver: pager, matchers: [severity=critical], continue: true}\n"
        "    - {receiver: chat, matchers: ['severity=~critical|warning']}\n"
    )
    own.fire("High", severity="critical")
    assert {one.receiver for _, one in own.until(1_100)} == {"pager", "chat"}


def test_muted_interval_delays_a_notification() -> None:
    own = router(
        "  routes:\n    - {receiver: pager, matchers: [severity=critical], mute_time_intervals: [night]}\n"
        "    - {receiver: chat, matchers: [severity=warning], active_time_intervals: [night]}\n"
        "time_intervals:\n  - name: night\n    time_intervals: [{times: [{start_time: '00:00', end_time: '00:20'}]}]\n"
    )  # until 1,200 s
    own.fire("High", severity="critical")
    own.fire("Low", severity="warning")
    assert own.until(1_199) == [(1_010, Sent("chat", "new", ["Low"]))]
    assert [one for _, one in own.until(1_260)] == [Sent("pager", "new", ["High"])]
    own.resolve("Low", severity="warning")
    assert own.until(1_500) == []


def test_critical_alert_inhibits_the_warning_about_the_same_resource_of_its_node() -> None:
    own = router()
    common = {"namespace": "local", "service": "metricat", "resource": "cpu"}
    warning = own.fire("High", node="a", severity="warning", **common)
    own.fire("High", node="b", severity="warning", **common)
    critical = own.fire("High", node="a", severity="critical", **common)
    assert [one for _, one in own.until(1_020)] == [Sent("default", "new", ["High/a", "High/b"])]
    assert own.state.marks[warning].inhibited_by == critical
    [event] = own.events
    assert (event.kind, event.fingerprint, event.details["by"]) == ("inhibited", warning, critical)
    own.resolve("High", node="a", severity="critical", **common)
    own.until(1_080)
    assert own.notifications[-1].reason == "changed"
    assert [dict(one.labels)["severity"] for one in own.notifications[-1].alerts] == ["warning", "warning", "critical"]


def test_alerts_that_are_source_and_target_do_not_inhibit_each_other() -> None:
    own = router(
        "inhibit_rules:\n  - source_matchers: ['severity=~critical|warning']\n"
        "    target_matchers: [severity=~.+]\n    equal: [x]\n"
    )
    own.fire("A", severity="critical")
    own.fire("B", severity="warning")
    own.fire("C", severity="info")
    assert sorted(one.firing[0] for _, one in own.until(1_020)) == ["A", "B"]


def test_silence_suppresses_notifications_until_its_end() -> None:
    own = router()
    own.set(silences=(Silence("s1", parse(["node=a"]), 1_000_000, 1_100_000, "ann"),))
    own.fire("High", node="a")
    own.fire("High", node="b")
    assert own.until(1_099) == [(1_010, Sent("default", "new", ["High/b"]))]
    assert [one for _, one in own.until(1_200)] == [Sent("default", "changed", ["High/a", "High/b"])]
    assert [(one.kind, one.at, one.details) for one in own.events] == [
        ("silenced", 1_000_000, {"silence": "s1"}),
        ("unsilenced", 1_100_000, {"silence": "s1"}),
    ]


def test_maintenance_window_suppresses_notifications() -> None:
    own = router()
    own.set(windows=(MaintenanceWindow("w1", "w", parse(["node=a"]), (3,), 0, 1_200_000, "UTC", "ann"),))  # Thursday
    own.fire("High", node="a")
    assert own.until(1_199) == []
    assert [one for _, one in own.until(1_300)] == [Sent("default", "new", ["High/a"])]


def acknowledge(own: Router, identifier: str, expires: int | None = None) -> None:
    active_at = own.state.alerts[identifier].active_at
    acknowledgement = Acknowledgement(identifier, active_at, "ann", own.now, expires=expires)
    own.set(acknowledgements={**own.controls.acknowledgements, identifier: acknowledgement})


def test_acknowledged_alerts_are_not_repeated() -> None:
    own = router()
    first, second = own.fire("High", node="a"), own.fire("High", node="b")
    own.until(1_020)
    acknowledge(own, first)
    assert [one for _, one in own.until(1_700)] == [Sent("default", "repeated", ["High/a", "High/b"])]
    acknowledge(own, second)
    assert own.until(5_000) == []
    own.fire("High", node="c")
    assert [one for _, one in own.until(5_100)] == [Sent("default", "changed", ["High/a", "High/b", "High/c"])]
    own.resolve("High", node="a")
    own.until(5_200)
    assert first not in own.controls.acknowledgements


def test_acknowledgement_expires_and_does_not_apply_to_the_next_time() -> None:
    own = router()
    identifier = own.fire("High")
    own.until(1_020)
    acknowledge(own, identifier, expires=2_000_000)
    assert own.until(1_999) == []
    assert [one.reason for _, one in own.until(2_100)] == ["repeated"]
    assert [one.kind for one in own.events] == ["unacknowledged"]
    acknowledge(own, identifier)
    own.step()
    assert own.state.acknowledged == {identifier}
    own.now += 1_000
    own.fire("High")
    own.step()
    assert own.state.acknowledged == frozenset()


ESCALATION = """
escalation:
  - name: on-call
    matchers: [severity=critical]
    steps: [{after: 5m, receiver: pager}, {after: 15m, receiver: boss}]
"""


def test_unacknowledged_alert_is_escalated_step_by_step() -> None:
    own = router(ESCALATION)
    own.fire("High", severity="critical")
    own.fire("Low", severity="warning")
    found = [(at, one) for at, one in own.until(2_000) if one.reason != "repeated"]
    assert found == [
        (1_010, Sent("default", "new", ["High"])),
        (1_010, Sent("default", "new", ["Low"])),
        (1_310, Sent("pager", "escalated", ["High"])),
        (1_910, Sent("boss", "escalated", ["High"])),
    ]
    own.resolve("High", severity="critical")
    own.until(2_100)
    assert sorted(one.receiver for one in own.notifications if one.reason == "resolved") == ["boss", "default", "pager"]
    assert len(own.state.groups) == 1


def test_acknowledgement_stops_the_escalation_until_it_ends() -> None:
    own = router(ESCALATION)
    identifier = own.fire("High", severity="critical")
    own.until(1_020)
    acknowledge(own, identifier, expires=2_000_000)
    assert own.until(2_000) == []
    found = [(at, one) for at, one in own.until(2_400) if one.reason != "repeated"]
    assert found == [(2_300, Sent("pager", "escalated", ["High"]))]
    acknowledge(own, identifier)
    assert own.until(9_000) == []


def test_silenced_alert_is_not_escalated() -> None:
    own = router(ESCALATION)
    own.fire("High", severity="critical")
    own.until(1_020)
    own.set(silences=(Silence("s1", parse(["severity=critical"]), 0, FOREVER, "ann"),))
    assert own.until(4_000) == []


def test_cooldown_suppresses_an_alert_that_fires_again() -> None:
    own = router()
    own.fire("High", {"cooldown": "30m"})
    own.until(1_020)
    own.resolve("High")
    assert [one.reason for _, one in own.until(1_100)] == ["resolved"]
    own.now += 60_000
    own.fire("High", {"cooldown": "30m"})
    assert own.until(2_809) == []
    assert [one.reason for _, one in own.until(2_900)] == ["new"]


def test_storm_makes_few_notifications_and_loses_no_alert() -> None:
    own = router(route=ROUTE.replace("[alertname]", "['...']"))
    own.step()
    identities = {own.fire("High", node=f"n{number}") for number in range(10_000)}
    found = own.until(1_100, 10)
    assert len(found) == STORM_GROUPS + 1
    sent = [name for _, one in found for name in one.firing]
    assert len(sent) == len(set(sent)) == 10_000
    members = {name for group in own.state.groups.values() for name in group.members}
    assert members == identities
    for number in range(10_000):
        own.resolve("High", node=f"n{number}")
    found = own.until(1_200, 20)
    assert sorted(name for _, one in found for name in one.resolved) == sorted(sent)
    assert own.state.groups == {}
    own.now += 600_000
    own.fire("High", node="later")
    own.until(1_900)
    assert own.notifications[-1].group_labels == {"alertname": "High", "node": "later"}


def test_changed_settings_keep_groups_that_still_exist() -> None:
    own = router("  routes:\n    - {receiver: pager, matchers: [severity=critical]}\n")
    own.fire("High", severity="critical")
    own.fire("Low")
    own.until(1_020)
    own.configure(plan_of(ROUTE + "  routes:\n    - {receiver: chat, matchers: [severity=critical]}\n"))
    assert [one for _, one in own.until(1_100, 10)] == [Sent("chat", "new", ["High"])]
    own.resolve("Low")
    assert [one for _, one in own.until(1_200)] == [Sent("default", "resolved", [], ["Low"])]


def test_clock_that_is_set_back_delays_a_group_by_its_interval_at_most() -> None:
    own = router()
    own.fire("High")
    own.until(1_020)
    own.now -= 500_000
    own.alerts = {key: replace(one, resolved_at=own.now) for key, one in own.alerts.items()}
    assert [one.reason for _, one in own.until(600)] == ["resolved"]


def test_without_receivers_nothing_is_sent_and_silences_are_recorded() -> None:
    own = Router(plan_of("", ()))
    own.now = 1_000_000
    own.set(silences=(Silence("s1", parse(["node=a"]), 0, FOREVER, "ann"),))
    own.fire("High", node="a")
    assert own.until(1_100, 10) == []
    assert [one.kind for one in own.events] == ["silenced"]


def test_default_route_sends_to_the_receiver_named_default_soon() -> None:
    own = Router(plan_of(""))
    own.now = 1_000_000
    own.fire("High")
    assert own.until(1_002, 0.5) == [(1_001.0, Sent("default", "new", ["High"]))]
