"""The registry of condition types and reasons, and the class of a condition. Pure.

No other package writes the name of a type or reason as a literal. `make generate` writes the tables of
docs/troubleshooting.md from this package.
"""

from metricat_operator.conditions.condition import Condition
from metricat_operator.conditions.reasons import Group, Reason, ReasonInfo
from metricat_operator.conditions.types import ConditionType

__all__ = ["Condition", "ConditionType", "Group", "Reason", "ReasonInfo"]
