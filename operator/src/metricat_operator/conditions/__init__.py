"""The registry of condition types and reasons, and one condition. Pure.

No other room writes the name of a type or reason as a literal. `make generate` writes the tables of
docs/troubleshooting.md from this room.
"""

from metricat_operator.conditions.condition import Condition
from metricat_operator.conditions.reasons import Group, Note, Reason
from metricat_operator.conditions.types import ConditionType

__all__ = ["Condition", "ConditionType", "Group", "Note", "Reason"]
