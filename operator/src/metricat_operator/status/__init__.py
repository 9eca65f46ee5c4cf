"""What a target's status says. Pure: from the facts, the troubles met, and the status before.

Nothing here may read a clock or the cluster: the same facts give the same status.
"""

from metricat_operator.status.compute import (
    MAX_UNCOVERED,
    changed_conditions,
    compute_status,
    internal_error_status,
    is_unchanged,
    is_urgent,
)
from metricat_operator.status.coverage import unexplained

__all__ = [
    "MAX_UNCOVERED",
    "changed_conditions",
    "compute_status",
    "internal_error_status",
    "is_unchanged",
    "is_urgent",
    "unexplained",
]
