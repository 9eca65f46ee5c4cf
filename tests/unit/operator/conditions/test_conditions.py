"""Conditions are read from a status and written back unchanged. Former names become the current ones."""

import pytest

from metricat_operator.conditions import Condition, ConditionType, Group, Reason, ReasonInfo
from metricat_operator.conditions.condition import MAX_MESSAGE

WRITTEN = {
    "type": "Selected",
    "status": "False",
    "reason": "LabelMissing",
    "message": "a label is missing",
    "observedGeneration": 3,
    "lastTransitionTime": "2030-01-02T03:04:05Z",
}


@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
def test_condition_is_written_as_it_was_read(status: str) -> None:
    found = Condition.parse({**WRITTEN, "status": status})
    assert found is not None
    assert found.manifest() == {**WRITTEN, "status": status}
    assert all(type(value) in {str, int} for value in found.manifest().values())  # JSON and YAML need no enums


def test_foreign_condition_is_ignored() -> None:
    assert Condition.parse({**WRITTEN, "type": "Theirs"}) is None


@pytest.mark.parametrize(
    ("type_", "status", "reason", "current"),
    [
        ("Discovered", "True", "Discovered", ("Selected", "Selected")),
        ("Discovered", "Unknown", "RulesElsewhere", ("Selected", "RulesOnOtherPrometheus")),
        ("Notified", "True", "Selected", ("NotificationsConfigured", "NotificationsConfigured")),
        ("Notified", "False", "SelectsNone", ("NotificationsConfigured", "SelectorNotSet")),
        ("RulesLoaded", "Unknown", "NotReloaded", ("RulesLoaded", "ReloadPending")),
        ("Selected", "True", "Selected", ("Selected", "Selected")),
        ("Applied", "False", "Conflict", ("Applied", "Conflict")),
    ],
)
def test_former_names_become_the_current_ones(type_: str, status: str, reason: str, current: tuple[str, str]) -> None:
    found = Condition.parse({**WRITTEN, "type": type_, "status": status, "reason": reason})
    assert found is not None
    assert (found.type, found.reason) == current


def test_long_message_is_cut() -> None:
    found = Condition(ConditionType.APPLIED, holds=False, reason=Reason.INVALID, message="x" * (MAX_MESSAGE + 1))
    assert len(found.message) == MAX_MESSAGE
    assert found.message.endswith("x ...")


def test_remedy_is_filled_in_as_plain_text() -> None:
    note = ReasonInfo(Group.NODE, "The pod fails.", "See `DAEMONSET`: `kubectl describe pod -n NAMESPACE POD`")
    filled = note.fill(namespace="monitoring", pod="a-1", daemon_set="a")
    assert filled == "See a: kubectl describe pod -n monitoring a-1"


def test_no_remedy_of_a_node_has_another_placeholder() -> None:
    """A remedy uses only names that a status has, except the node's name, which the message of a cause has."""
    notes = [note for reason in Reason for note in reason.notes if note.where == Group.NODE]
    filled = [note.fill(namespace="", pod="", daemon_set="") for note in notes]
    assert [text for text in filled if " NAME" in text or text.endswith(" NODE")] == ["kubectl describe node NODE"]


def test_every_condition_but_the_summaries_has_a_statement() -> None:
    without = {kind for kind in ConditionType if not kind.about.statement}
    assert without == {ConditionType.READY, ConditionType.MONITORED}
