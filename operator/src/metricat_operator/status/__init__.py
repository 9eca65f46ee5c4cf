"""The status of a target, computed from facts, errors of child objects, and the earlier status. Pure.

No module here may read a clock or the cluster: the same facts give the same status.
"""

from metricat_operator.status.compute import (
    MAX_UNCOVERED,
    all_uncovered,
    changed_conditions,
    claim_status,
    claimed_condition,
    compute_status,
    internal_error_status,
    is_unchanged,
    is_urgent,
)
from metricat_operator.status.coverage import Uncovered, unexplained

__all__ = [
    "MAX_UNCOVERED",
    "Uncovered",
    "all_uncovered",
    "changed_conditions",
    "claim_status",
    "claimed_condition",
    "compute_status",
    "internal_error_status",
    "is_unchanged",
    "is_urgent",
    "unexplained",
]
