"""Events of alerts become episodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.model.alert_episodes import changes, digest
from metricat_hub.model.alerts import AlertEvent, EventKind, fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_hub.model.alert_history import Episode

LABELS = (("alertname", "High"),)


def event(kind: EventKind, at: int, active: int | None = None, details: Mapping[str, str] | None = None) -> AlertEvent:
    return AlertEvent(at, kind, fingerprint(LABELS), LABELS, active_at=active, details=details or {})


class Recorded:
    """Episodes in memory, as a store has them."""

    def __init__(self) -> None:
        self.episodes: dict[int, Episode] = {}
        self.events: list[tuple[int, AlertEvent]] = []

    def record(self, *events: AlertEvent) -> None:
        stored = {digest(one) for _, one in self.events}
        found = changes(self.episodes.values(), events, stored, len(self.episodes) + 1)
        self.episodes |= found.episodes
        self.events += found.events

    @property
    def times(self) -> list[tuple[int, int | None, int | None]]:
        ordered = sorted(self.episodes.values(), key=lambda one: one.started)
        return [(one.started, one.fired, one.resolved) for one in ordered]


def test_events_of_one_period_are_one_episode() -> None:
    recorded = Recorded()
    recorded.record(event("pending", 10, 10))
    recorded.record(event("firing", 20, 10), event("acknowledged", 25), event("resolved", 30, 10))
    assert recorded.times == [(10, 20, 30)]
    assert [number for number, _ in recorded.events] == [1, 1, 1, 1]


def test_alert_that_fires_again_begins_an_episode() -> None:
    recorded = Recorded()
    recorded.record(event("firing", 10, 10), event("resolved", 20, 10), event("firing", 20, 20))
    recorded.record(event("acknowledged", 21))
    assert recorded.times == [(10, 10, 20), (20, 20, None)]
    assert recorded.episodes[2].acknowledged == 21
    assert recorded.episodes[1].acknowledged is None


def test_pending_alert_whose_start_moved_after_an_outage_stays_one_episode() -> None:
    recorded = Recorded()
    recorded.record(event("pending", 10, 10), event("pending", 50, 50), event("firing", 60, 50))
    recorded.record(event("resolved", 70, 50))
    assert recorded.times == [(10, 60, 70)]
    assert len(recorded.events) == 3


def test_repeated_notification_of_an_alertmanager_changes_nothing() -> None:
    recorded = Recorded()
    recorded.record(event("firing", 10), event("firing", 10), event("firing", 8))
    recorded.record(event("firing", 10), event("resolved", 40))
    recorded.record(event("firing", 10), event("resolved", 40), event("resolved", 45))
    assert recorded.times == [(10, 10, 40)]


def test_lost_end_ends_when_the_next_episode_begins() -> None:
    recorded = Recorded()
    recorded.record(event("firing", 10, 10), event("pending", 30, 30))
    assert recorded.times == [(10, 10, 30), (30, None, None)]
    [end] = [one for _, one in recorded.events if one.kind == "resolved"]
    assert end.details == {"reason": "the end was not observed"}


def test_earlier_period_does_not_end_the_open_one() -> None:
    recorded = Recorded()
    recorded.record(event("firing", 100, 100))
    recorded.record(event("firing", 10, 10), event("resolved", 20, 10))
    assert recorded.times == [(10, 10, 20), (100, 100, None)]


def test_acknowledgement_after_the_end_belongs_to_the_ended_episode() -> None:
    recorded = Recorded()
    recorded.record(event("firing", 10, 10), event("resolved", 20, 10), event("acknowledged", 30))
    assert recorded.episodes[1].acknowledged == 30
    recorded.record(event("unacknowledged", 31))
    assert recorded.episodes[1].acknowledged is None


def test_end_of_an_unknown_alert_is_recorded() -> None:
    recorded = Recorded()
    recorded.record(event("firing", 10, 10), event("resolved", 20, 10), event("resolved", 50, 40))
    assert recorded.times == [(10, 10, 20), (40, None, 50)]


def test_notifications_are_counted_by_outcome() -> None:
    recorded = Recorded()
    sent = [event("notified", at, details={"outcome": "delivered", "receiver": "a"}) for at in (11, 12, 12)]
    recorded.record(event("firing", 10, 10), *sent, event("notified", 13, details={"outcome": "failed"}))
    assert (recorded.episodes[1].delivered, recorded.episodes[1].failed) == (2, 1)
