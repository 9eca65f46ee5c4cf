"""Events between two evaluations of a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.evaluation.evaluate import Alert
from metricat_hub.evaluation.transitions import events
from metricat_rules.alert_state import AlertState, Timing, step

if TYPE_CHECKING:
    from metricat_hub.model.labels import Labels

LABELS = (("alertname", "High"), ("node", "a"))


def alerts(state: AlertState | None, value: float = 1.0) -> dict[Labels, Alert]:
    return {} if state is None else {LABELS: Alert(LABELS, {"summary": "x"}, value, state)}


def kinds(results: str, hold: int, keep: int = 0) -> list[tuple[int, str]]:
    """Return time and kind of all events of an alert; `x` is an evaluation with a result."""
    timing = Timing(hold, keep, 3)
    state: AlertState | None = None
    found: list[tuple[int, str]] = []
    for now, result in enumerate(results):
        after = step(state, now, timing, has_result=result == "x")
        found += [(one.at, one.kind) for one in events(alerts(state), alerts(after), now)]
        state = after
    return found


def test_each_phase_is_one_event() -> None:
    assert kinds("-xxxxx--", 2) == [(1, "pending"), (3, "firing"), (6, "resolved")]


def test_alert_without_for_fires_at_once() -> None:
    assert kinds("-xx-", 0) == [(1, "firing"), (3, "resolved")]


def test_pending_alert_without_a_result_ends() -> None:
    assert kinds("-xx---xxxx", 3) == [(1, "pending"), (3, "resolved"), (6, "pending"), (9, "firing")]


def test_alert_that_is_kept_firing_resolves_later() -> None:
    assert kinds("xx--x------", 0, keep=3) == [(0, "firing"), (8, "resolved")]


def test_alert_that_fires_again_while_it_is_remembered_begins_again() -> None:
    assert kinds("x-x-", 0) == [(0, "firing"), (1, "resolved"), (2, "firing"), (3, "resolved")]


def test_states_give_the_same_events_after_a_restart() -> None:
    ended = AlertState(1_000, 2_000, 3_000, 3_000)
    assert [(one.at, one.kind) for one in events({}, alerts(ended), 9_000)] == [(2_000, "firing"), (3_000, "resolved")]
    assert events(alerts(ended), {}, 9_000) == []
    firing = AlertState(1_000, 2_000)
    [end] = events(alerts(firing), {}, 9_000)
    assert (end.at, end.kind, end.active_at, end.labels) == (9_000, "resolved", 1_000, LABELS)


def test_value_that_is_not_a_number_is_left_out() -> None:
    [event] = events({}, alerts(AlertState(1), float("nan")), 1)
    assert event.value is None
