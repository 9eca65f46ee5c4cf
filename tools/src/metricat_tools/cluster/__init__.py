"""Test clusters: real Kubernetes on one machine, without Docker, in two sizes.

`ControlPlane` needs no root and has only simulated nodes. `NodeCluster` runs containers. Everything of a cluster has
its name and is removed with it. Nothing here may touch a process, a namespace or a file outside the cluster.
"""

from metricat_tools.cluster.control_plane import ControlPlane
from metricat_tools.cluster.node_cluster import NodeCluster

__all__ = ["ControlPlane", "NodeCluster"]
