"""The desired child objects of a target: pure functions from the target to manifests, one file per kind.

This package must not read a clock, the environment, a file or the cluster: the same target gives the same bytes.
"""

from metricat_operator.manifests.build import build_children
from metricat_operator.manifests.context import Context

__all__ = ["Context", "build_children"]
