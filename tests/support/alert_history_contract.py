"""Tests that every database of the alert history must pass."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from metricat_hub.model.alert_history import Durations, EpisodeFilter, Flapping, Position, Ranked
from metricat_hub.model.alerts import AlertEvent, EventKind, fingerprint
from metricat_hub.model.labels import Labels, from_mapping
from support.hub_store import BEGIN, DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.store.alert_history import SqlHistory

RETENTION = 365 * DAY
EVERYTHING = EpisodeFilter(0, 2**53)


def alert(name: str = "High", **more: str) -> Labels:
    return from_mapping({"alertname": name, "severity": "warning", "node": "a", "namespace": "local", **more})


def event(
    kind: EventKind, at: int, labels: Labels | None = None, active: int | None = None, **details: str
) -> AlertEvent:
    labels = labels or alert()
    actor = "kim" if kind in {"acknowledged", "unacknowledged", "silenced"} else ""
    value = 90.5 if kind in {"pending", "firing"} else None
    return AlertEvent(
        at, kind, fingerprint(labels), labels, {"summary": "high"}, value, active, actor=actor, details=details
    )


def whole(start: int, length: int, labels: Labels | None = None, acknowledged: int = 0) -> list[AlertEvent]:
    """Return the events of an episode that is pending for a minute."""
    fired = start + MINUTE
    return [
        event("pending", start, labels, start),
        event("firing", fired, labels, start),
        *([event("acknowledged", fired + acknowledged, labels)] if acknowledged else []),
        event("resolved", fired + length, labels, start),
    ]


class AlertHistoryContract:
    @pytest.fixture
    def history(self) -> SqlHistory:
        raise NotImplementedError

    def test_episode_has_all_its_events(self, history: SqlHistory) -> None:
        at = BEGIN + MINUTE
        history.record([event("pending", BEGIN, active=BEGIN), event("firing", at, active=BEGIN)])
        history.record(
            [
                event("notified", at + 1, receiver="mail", outcome="delivered"),
                event("notified", at + 2, receiver="chat", outcome="failed", error="refused\0"),
                event("silenced", at + 3, silence="s1"),
                event("inhibited", at + 4),
                event("acknowledged", at + 5),
                event("resolved", at + 6, active=BEGIN),
            ]
        )
        [found] = history.episodes(EVERYTHING, None, 10)
        assert (found.started, found.fired, found.resolved, found.state) == (BEGIN, at, at + 6, "resolved")
        assert (found.acknowledged, found.acknowledged_by) == (at + 5, "kim")
        assert (found.silenced, found.inhibited, found.delivered, found.failed) == (at + 3, at + 4, 1, 1)
        assert (found.labels, found.annotations, found.value) == (alert(), {"summary": "high"}, 90.5)
        timeline = history.timeline(EVERYTHING, None, 100)
        assert [one.event.kind for one in timeline] == [
            *("resolved", "acknowledged", "inhibited", "silenced", "notified", "notified", "firing", "pending")
        ]
        assert timeline[4].event.details == {"receiver": "chat", "outcome": "failed", "error": "refused\0"}
        assert {one.started for one in timeline} == {BEGIN}

    def test_repeated_events_are_stored_once(self, history: SqlHistory) -> None:
        sent = event("notified", BEGIN + MINUTE, receiver="mail", outcome="delivered")
        events = [event("firing", BEGIN, active=BEGIN), sent, event("resolved", BEGIN + HOUR, active=BEGIN)]
        for _ in range(3):
            history.record([*events, *events])
        [found] = history.episodes(EVERYTHING, None, 10)
        assert found.delivered == 1
        assert len(history.timeline(EVERYTHING, None, 10)) == 3

    def test_labels_and_texts_are_exact(self, history: SqlHistory) -> None:
        labels = alert("Ä\0\U0001f600", node="n'\"%s?", severity="\x01")
        history.record([event("firing", BEGIN, labels, BEGIN)])
        [found] = history.episodes(EVERYTHING, None, 10)
        assert found.labels == labels
        assert history.episodes(replace(EVERYTHING, nodes=["n'\"%s?"]), None, 10) == [found]

    def test_every_filter_selects(self, history: SqlHistory) -> None:
        one = alert("One", node="a", severity="critical", namespace="team-a")
        two = alert("Two", node="b", severity="warning", namespace="team-b")
        three = alert("Three", node="c", severity="info", namespace="")
        history.record(
            [
                *whole(BEGIN, HOUR, one),
                event("notified", BEGIN + 2 * MINUTE, one, receiver="mail", outcome="delivered"),
                event("firing", BEGIN + DAY, two, BEGIN + DAY),
                event("pending", BEGIN + 2 * DAY, three, BEGIN + 2 * DAY),
                event("resolved", BEGIN + 2 * DAY + 1, three, BEGIN + 2 * DAY),
            ]
        )

        def names(wanted: EpisodeFilter) -> Sequence[str]:
            return [found.label("alertname") for found in history.episodes(wanted, None, 10)]

        assert names(EVERYTHING) == ["Three", "Two", "One"]
        assert names(replace(EVERYTHING, states=["firing", "resolved"])) == ["Two", "One"]
        assert names(replace(EVERYTHING, states=["inactive"])) == ["Three"]
        assert names(replace(EVERYTHING, names=["One", "Three"])) == ["Three", "One"]
        assert names(replace(EVERYTHING, nodes=["b"])) == ["Two"]
        assert names(replace(EVERYTHING, severities=["critical"])) == ["One"]
        assert names(replace(EVERYTHING, receivers=["mail"])) == ["One"]
        assert names(replace(EVERYTHING, receivers=["chat"])) == []
        assert names(replace(EVERYTHING, fingerprints=[fingerprint(two)])) == ["Two"]
        assert names(replace(EVERYTHING, namespaces=frozenset({"team-a"}))) == ["One"]
        assert names(replace(EVERYTHING, namespaces=frozenset())) == []
        assert names(EpisodeFilter(0, BEGIN)) == ["One"]
        assert names(EpisodeFilter(BEGIN + HOUR, BEGIN + DAY)) == ["Two", "One"]
        assert names(EpisodeFilter(BEGIN + HOUR + MINUTE + 1, BEGIN + DAY)) == ["Two"]
        newest = history.latest(fingerprint(one), frozenset({"team-a"}))
        assert newest is not None
        assert newest.label("alertname") == "One"
        assert history.latest(fingerprint(one), frozenset({"team-b"})) is None
        assert [found.label("alertname") for found in history.open_episodes()] == ["Two"]

    def test_pages_are_stable_while_episodes_are_added(self, history: SqlHistory) -> None:
        starts = [BEGIN + HOUR * (place // 2) for place in range(10)]
        for place, start in enumerate(starts):
            history.record(whole(start, MINUTE, alert(node=str(place))))
        seen: list[str] = []
        after: Position | None = None
        while page := history.episodes(EVERYTHING, after, 3):
            seen += [one.label("node") for one in page]
            after = (page[-1].started, page[-1].number)
            history.record(whole(BEGIN + DAY + len(seen), MINUTE, alert(node="later")))
        assert seen == [str(place) for place in range(9, -1, -1)]
        events = history.timeline(EpisodeFilter(0, BEGIN + DAY - 1), None, 100)
        some = history.timeline(EpisodeFilter(0, BEGIN + DAY - 1), (events[10].event.at, events[10].number), 5)
        assert [one.number for one in some] == [one.number for one in events[11:16]]

    def test_statistics_are_exact(self, history: SqlHistory) -> None:
        for place in range(20):
            labels = alert(node="ab"[place % 2], severity="critical" if place < 5 else "warning")
            start = BEGIN + place * DAY
            history.record(whole(start, (place + 1) * MINUTE, labels, acknowledged=1000 if place < 4 else 0))
        flapping = alert("Flapping", node="c")
        for place in range(6):
            history.record(whole(BEGIN + 30 * DAY + place * 5 * MINUTE, 2 * MINUTE, flapping))
        history.record([event("pending", BEGIN, alert("Never"), BEGIN), event("resolved", BEGIN + 1, alert("Never"))])
        found = history.statistics(EVERYTHING, 2)
        assert (found.episodes, found.firing, found.acknowledged) == (26, 0, 4)
        assert found.to_acknowledge == Durations(4, 1000.0, 1000, 1000)
        assert found.to_resolve.count == 26
        assert found.to_resolve.mean == pytest.approx((sum(range(1, 21)) + 12) * MINUTE / 26)
        # The durations in minutes are 1, seven times 2, 3, 4, ... 20: the 13th is 7, and the 25th is 19.
        assert (found.to_resolve.median, found.to_resolve.p95) == (7 * MINUTE, 19 * MINUTE)
        assert found.by_severity == [Ranked("warning", 21), Ranked("critical", 5)]
        assert found.alerts == [Ranked("High", 20), Ranked("Flapping", 6)]
        assert found.nodes == [Ranked("a", 10), Ranked("b", 10)]
        assert found.flapping == [Flapping(fingerprint(flapping), "Flapping", "c", 6, 6)]
        nothing = history.statistics(replace(EVERYTHING, nodes=["x"]), 2)
        assert (nothing.episodes, nothing.to_resolve, nothing.flapping) == (0, Durations(), [])

    def test_old_episodes_and_events_are_removed(self, history: SqlHistory) -> None:
        now = BEGIN + 2 * RETENTION
        history.record(whole(BEGIN, MINUTE, alert("Old")))
        history.record([event("firing", BEGIN, alert("Open"), BEGIN)])
        history.record(whole(now - RETENTION, MINUTE, alert("New")))
        for start, name in ((now - 8 * DAY, "Inactive"), (now - 6 * DAY, "Recent")):
            history.record([event("pending", start, alert(name), start), event("resolved", start + 1, alert(name))])
        assert history.maintain(now) == 2
        assert history.maintain(now) == 0
        kept = [one.label("alertname") for one in history.episodes(EVERYTHING, None, 10)]
        assert kept == ["Recent", "New", "Open"]
        assert min(one.event.at for one in history.timeline(EVERYTHING, None, 100)) >= now - RETENTION

    def test_storm_of_alerts_is_recorded(self, history: SqlHistory) -> None:
        labels = [alert(node=f"n{place}") for place in range(2_000)]
        history.record([event("firing", BEGIN, one, BEGIN) for one in labels])
        history.record([event("resolved", BEGIN + HOUR, one, BEGIN) for one in labels])
        found = history.statistics(EVERYTHING, 1)
        assert (found.episodes, found.firing, found.to_resolve) == (2_000, 0, Durations(2_000, HOUR, HOUR, HOUR))

    def test_numbers_are_kept(self, history: SqlHistory) -> None:
        assert history.number("complete") is None
        history.set_number("complete", 1)
        history.set_number("complete", 2**41)
        assert history.number("complete") == 2**41
