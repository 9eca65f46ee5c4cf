"""A condition that is false for a temporary reason gets its event only if the reason lasts."""

from metricat_operator.conditions import Condition, ConditionType, Reason
from metricat_operator.controller.postponed_events import SETTLE_SECONDS, PostponedEvents

UID = "u-1"
NO_TARGETS = Condition(ConditionType.SCRAPED, holds=False, reason=Reason.NO_TARGETS, message="")
NOT_LOADED = Condition(ConditionType.RULES_LOADED, holds=False, reason=Reason.RULES_NOT_LOADED, message="")
SCRAPED = Condition(ConditionType.SCRAPED, holds=True, reason=Reason.SCRAPED, message="")
DOWN = Condition(ConditionType.SCRAPED, holds=False, reason=Reason.TARGETS_DOWN, message="")


def test_first_install_has_no_event_about_what_prometheus_loads_later() -> None:
    now = [100.0]
    events = PostponedEvents(clock=lambda: now[0])
    assert events.immediate(UID, [NO_TARGETS, NOT_LOADED]) == []
    assert events.wait(UID) == SETTLE_SECONDS
    now[0] += 60
    assert events.due(UID, [NO_TARGETS, NOT_LOADED]) == []
    loaded = Condition(ConditionType.RULES_LOADED, holds=True, reason=Reason.RULES_LOADED, message="")
    assert events.immediate(UID, [SCRAPED, loaded]) == [SCRAPED, loaded]
    now[0] += SETTLE_SECONDS
    assert events.due(UID, [SCRAPED, loaded]) == []
    assert events.wait(UID) is None


def test_reason_that_lasts_gets_one_event() -> None:
    now = [100.0]
    events = PostponedEvents(clock=lambda: now[0])
    assert events.immediate(UID, [NO_TARGETS, NOT_LOADED]) == []
    now[0] += 30
    assert events.wait(UID) == SETTLE_SECONDS - 30
    now[0] += SETTLE_SECONDS - 30
    assert events.due("another", [NO_TARGETS]) == []
    assert events.due(UID, [NO_TARGETS, SCRAPED, NOT_LOADED]) == [NO_TARGETS, NOT_LOADED]
    assert events.due(UID, [NO_TARGETS, NOT_LOADED]) == []
    assert events.wait(UID) is None


def test_other_reasons_get_their_event_at_once() -> None:
    now = [100.0]
    events = PostponedEvents(clock=lambda: now[0])
    assert events.immediate(UID, [NO_TARGETS]) == []
    assert events.immediate(UID, [DOWN]) == [DOWN]
    now[0] += SETTLE_SECONDS
    assert events.due(UID, [DOWN]) == []
    assert events.wait(UID) is None


def test_reason_that_ended_without_a_written_status_gets_no_event() -> None:
    now = [100.0]
    events = PostponedEvents(clock=lambda: now[0])
    assert events.immediate(UID, [NO_TARGETS]) == []
    assert events.due(UID, [SCRAPED]) == []
    now[0] += SETTLE_SECONDS
    assert events.due(UID, [NO_TARGETS]) == []
