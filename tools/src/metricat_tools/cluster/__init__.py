"""Test clusters: real Kubernetes on a plain machine, without Docker, in two sizes.

`ControlPlane` needs no root and has simulated nodes only; `NodeCluster` runs containers. Everything of a cluster
carries its name and vanishes with it;
nothing here may touch a process, a namespace or a file that is not the cluster's own.
"""

from metricat_tools.cluster.control_plane import ControlPlane
from metricat_tools.cluster.node_cluster import NodeCluster

__all__ = ["ControlPlane", "NodeCluster"]
