"""What a target's children should look like: pure functions from the target to manifests, one kind per file.

Nothing here may read a clock, the environment, a file or the cluster: the same target gives the same bytes.
"""

from metricat_operator.manifests.build import build_children
from metricat_operator.manifests.context import Context

__all__ = ["Context", "build_children"]
