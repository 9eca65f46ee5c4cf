"""Groups, inhibition and silences: the same notifications as a running Alertmanager makes of the same alerts.

The intervals are short, and the machine may be slow, so the test compares no times. It compares what each group has
sent in the end.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from metricat_hub.dispatch.matchers import parse
from metricat_hub.dispatch.silences import Silence
from support import real_alertmanager
from support.router import Router, plan_of
from support.webhook_sink import webhook_sink

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROUTES = """
route:
  receiver: default
  group_by: [alertname]
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 4h
  routes:
    - {matchers: [severity=critical], receiver: pager, group_by: ['...'], continue: true}
    - {matchers: ['team=~"db|web"'], receiver: chat, group_by: [team]}
inhibit_rules:
  - {source_matchers: [alertname=Down], target_matchers: ['alertname!=Down'], equal: [node]}
  - {source_matchers: [severity=critical], target_matchers: ['severity=~warning|critical'], equal: [node, resource]}
"""
RECEIVERS = ("default", "pager", "chat")
SOURCES = (
    {"alertname": "Down", "node": "a", "severity": "warning"},
    {"alertname": "Cpu", "node": "b", "severity": "critical", "resource": "cpu", "team": "db"},
)
OTHERS = (
    {"alertname": "Cpu", "node": "a", "severity": "warning", "resource": "cpu"},
    {"alertname": "Cpu", "node": "b", "severity": "warning", "resource": "cpu", "team": "web"},
    {"alertname": "Disk", "node": "b", "severity": "critical", "resource": "disk"},
    {"alertname": "Cpu", "node": "c", "severity": "warning", "resource": "cpu"},
    {"alertname": "Cpu", "node": "d", "severity": "warning", "resource": "cpu", "team": "web"},
    {"alertname": "Quiet", "node": "e", "severity": "critical", "team": "db"},
    {"alertname": "Slow", "node": "f", "team": "other"},
    {"alertname": "Cpu", "severity": "warning"},
)
Sent = dict[tuple[str, str], tuple[frozenset[str], frozenset[str]]]
"""For each receiver and group: the alerts that its last notification shows as firing, and all resolved ones."""


def test_each_group_sends_what_alertmanager_sends(tmp_path: Path) -> None:
    own = Router(plan_of(ROUTES, RECEIVERS))
    own.now = 1_000_000
    own.set(silences=(Silence("s1", parse(["alertname=Quiet"]), 0, 10**12, "ann"),))
    for labels in (*SOURCES, *OTHERS):
        own.fire(labels["alertname"], **{name: value for name, value in labels.items() if name != "alertname"})
    own.until(1_010)
    firing = of_hub(own)
    with webhook_sink() as sink, real_alertmanager.running(tmp_path, configuration(sink.url)) as theirs:
        theirs.silence("alertname", "Quiet")
        theirs.post(SOURCES)
        sink.wait(lambda found: {"default", "pager", "chat"} <= {one["receiver"] for one in found})
        theirs.post(OTHERS)
        until(lambda: of_alertmanager(sink.received) == firing, lambda: (of_alertmanager(sink.received), firing))
        own.resolve("Down", node="a", severity="warning")
        own.resolve("Disk", node="b", severity="critical", resource="disk")
        own.resolve("Cpu", node="c", severity="warning", resource="cpu")
        own.until(1_020)
        changed = of_hub(own)
        assert changed != firing
        theirs.post((SOURCES[0], OTHERS[2], OTHERS[3]), is_resolved=True)
        until(lambda: of_alertmanager(sink.received) == changed, lambda: (of_alertmanager(sink.received), changed))
        assert not [one for body in sink.received for one in body["alerts"] if one["labels"]["alertname"] == "Quiet"]


def until(condition: Callable[[], bool], shown: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, shown()
        time.sleep(0.1)


def configuration(sink: str) -> str:
    receivers = "".join(
        f"  - {{name: {name}, webhook_configs: [{{url: '{sink}', send_resolved: true}}]}}\n" for name in RECEIVERS
    )
    return f"{ROUTES}receivers:\n{receivers}"


def of_hub(own: Router) -> Sent:
    return in_the_end(
        (
            one.receiver,
            dict(one.group_labels),
            [(dict(alert.labels), alert.resolved_at is not None) for alert in one.alerts],
        )
        for one in own.notifications
    )


def of_alertmanager(received: list[Any]) -> Sent:
    return in_the_end(
        (
            body["receiver"],
            body["groupLabels"],
            [(alert["labels"], alert["status"] == "resolved") for alert in body["alerts"]],
        )
        for body in list(received)
    )


def in_the_end(notifications: Any) -> Sent:
    found: Sent = {}
    for receiver, group, alerts in notifications:
        key = receiver, json.dumps(group, sort_keys=True)
        names = {
            is_resolved: frozenset(_name(one) for one, state in alerts if state == is_resolved)
            for is_resolved in (True, False)
        }
        found[key] = names[False], found.get(key, (frozenset(), frozenset()))[1] | names[True]
    return found


def _name(labels: dict[str, str]) -> str:
    return json.dumps(labels, sort_keys=True)
