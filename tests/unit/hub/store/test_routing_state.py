"""The file of routing: what it returns after it is opened again, and what one transaction changes."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from metricat_hub.dispatch.matchers import parse
from metricat_hub.dispatch.silences import Acknowledgement, MaintenanceWindow, Silence
from metricat_hub.dispatch.state import Group, Mark, Member, Sent, State, Step
from metricat_hub.model.alerts import ActiveAlert, AlertEvent, Notification
from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.store import routing_state
from metricat_hub.store.routing_state import FILE, RoutingState

if TYPE_CHECKING:
    from pathlib import Path

ALERT = ActiveAlert((("alertname", "High"), ("node", "ä")), {"summary": "a text"}, float("inf"), 1, 2, None, "up == 0")
GROUP = Group(
    *("{}:{}", "default", "{}", {"node": "ä"}, {ALERT.fingerprint: Member(3, 1), "other": Member()}, 5),
    Sent(4, frozenset((ALERT.fingerprint,)), frozenset(("gone",))),
    ("on-call", 1),
    is_storm=True,
)
STATE = State(
    {GROUP.identity: GROUP},
    {ALERT.fingerprint: ALERT},
    {ALERT.fingerprint: Mark(("s1", "w1"), "source")},
    frozenset((ALERT.fingerprint,)),
    {"default": (1, 2)},
    {("default", "{}:{}", ALERT.fingerprint): 9},
)
NOTIFICATION = Notification("id", "default", "{}:{}", {"node": "ä"}, (ALERT,), "new", 7, "https://hub.example")
EVENT = AlertEvent(7, "silenced", ALERT.fingerprint, ALERT.labels, {}, 1.5, 1, "ann", {"silence": "s1"})


def without_texts(state: State) -> State:
    bare = ActiveAlert(ALERT.labels, {}, ALERT.value, 1, 2, None, "up == 0")
    return State(
        *(state.groups, {ALERT.fingerprint: bare}, state.marks, state.acknowledged, state.created, state.cooldowns)
    )


def test_state_and_output_are_there_after_the_file_is_opened_again(tmp_path: Path) -> None:
    first = RoutingState(tmp_path)
    first.save(State(), Step(STATE, [NOTIFICATION], [EVENT]))
    first.close()
    again = RoutingState(tmp_path)
    assert again.load() == without_texts(STATE)
    [(number, notification)] = again.notifications()
    assert notification == NOTIFICATION
    [(other, event)] = again.events()
    assert event == EVENT
    again.drop([number])
    assert again.notifications() == []
    again.drop([other])
    assert again.events() == []
    again.save(STATE, Step(State()))
    assert again.load() == State()
    again.close()


def test_controls_are_there_after_the_file_is_opened_again(tmp_path: Path) -> None:
    silence = Silence("s1", parse(['node=~"a|b"', "x!=y"]), 1, 2, "ann", "why", 3, 4)
    window = MaintenanceWindow("w1", "night", parse(["pool=batch"]), (0, 6), 90, 60_000, "Europe/Berlin", "ann", "why")
    acknowledgement = Acknowledgement("f", 1, "ann", 2, "why", 3)
    first = RoutingState(tmp_path)
    first.put_silence(silence)
    first.put_window(window)
    first.acknowledge(acknowledgement, EVENT)
    first.close()
    again = RoutingState(tmp_path)
    assert (again.silences(), again.windows(), again.acknowledgements()) == ([silence], [window], [acknowledgement])
    again.save(State(), Step(State(), ended=frozenset(("f",))))
    again.remove_silences(["s1"])
    again.remove_window("w1")
    assert (again.silences(), again.windows(), again.acknowledgements()) == ([], [], [])
    again.close()


def test_failed_transaction_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = RoutingState(tmp_path)

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(routing_state, "_add_to_outbox", fail)
    with pytest.raises(StoreUnavailableError, match="disk is full"):
        saved.save(State(), Step(STATE, [NOTIFICATION]))
    assert saved.load() == State()
    saved.close()


def test_oldest_events_are_dropped_above_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing_state, "MOST_EVENTS", 3)
    saved = RoutingState(tmp_path)
    events = [AlertEvent(at, "silenced", "f", ()) for at in range(5)]
    saved.save(State(), Step(State(), [NOTIFICATION], events))
    assert saved.drop_old_events() == 2
    assert [event.at for _, event in saved.events()] == [2, 3, 4]
    assert len(saved.notifications()) == 1
    assert saved.drop_old_events() == 0
    saved.close()


def test_file_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreUnavailableError, match="schema version 99"):
        RoutingState(tmp_path)
