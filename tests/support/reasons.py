"""Check of a condition's reason against the tables of docs/troubleshooting.md."""

from metricat_operator.conditions import ConditionType, Group
from metricat_operator.conditions.reasons import REASONS
from metricat_operator.conditions.types import TYPES

ALSO: dict[str, set[str]] = {
    ConditionType.AGENTS_READY: {ConditionType.APPLIED},
    ConditionType.RULES_LOADED: {Group.QUERY},
    ConditionType.SCRAPED: {Group.QUERY},
    ConditionType.NOTIFICATIONS_CONFIGURED: {ConditionType.SELECTED},
}
"""Tables of docs/troubleshooting.md that also apply to a type."""


def documented(kind: str, reason: str) -> bool:
    """Return whether the reason has a row in a table of this type; a summary has the reasons of its parts."""
    found = TYPES[kind]
    if found.parts or reason not in REASONS:
        return True
    return any(note.where in {str(found), *ALSO.get(found, set())} for note in REASONS[reason].notes)
